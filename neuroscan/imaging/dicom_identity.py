"""A DICOM object without its patient: a new data set of listed attributes only.

An allow-list (compare PS3.15, annex E, which lists what to remove): pixel description, geometry,
modality and MR acquisition numbers. None of them is free text or a date, and a value that is not
a number, a lookup table or one of its attribute's defined terms is left out as well. The pixels
themselves are not examined: text that was burned into the picture stays in it.
"""

import io
from decimal import Decimal

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID, SecondaryCaptureImageStorage, generate_uid

from neuroscan.imaging.codestream import blank_comments
from neuroscan.imaging.dicom_file import PIXEL_TAGS, DicomFile
from neuroscan.imaging.dicom_pixels import PixelLayout
from neuroscan.imaging.dicom_values import code, text
from neuroscan.imaging.limits import DECODER_ERRORS

_ALLOWED = (
    # Image pixel module
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelAspectRatio",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleIntercept",
    "RescaleSlope",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "PresentationLUTShape",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    # Geometry
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SliceLocation",
    "PatientPosition",
    # Functional groups of enhanced objects, whose items are filtered by this same list
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "PixelMeasuresSequence",
    "PlaneOrientationSequence",
    "PlanePositionSequence",
    "PixelValueTransformationSequence",
    # Kind of object and acquisition
    "ImageType",
    "Modality",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "EchoTrainLength",
    "FlipAngle",
    "NumberOfAverages",
    "MagneticFieldStrength",
    "ImagingFrequency",
    "PixelBandwidth",
)

# The defined terms and enumerated values of PS3.3. Any other code string may be a name.
_TERMS = {
    "PhotometricInterpretation": (
        "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422",
        "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "XYB", "HSV", "ARGB", "CMYK",
    ),
    "VOILUTFunction": ("LINEAR", "LINEAR_EXACT", "SIGMOID"),
    "PresentationLUTShape": ("IDENTITY", "INVERSE"),
    "BurnedInAnnotation": ("YES", "NO"),
    "LossyImageCompression": ("00", "01"),
    "LossyImageCompressionMethod": (
        "ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15", "ISO_18181_1", "ISO_13818_2",
        "ISO_14496_10", "ISO_23008_2",
    ),
    "PatientPosition": (
        "HFP", "HFS", "HFDR", "HFDL", "FFDR", "FFDL", "FFP", "FFS", "LFP", "LFS", "RFP", "RFS",
        "AFDR", "AFDL", "PFDR", "PFDL",
    ),
    "ImageType": (
        "ORIGINAL", "DERIVED", "MIXED", "PRIMARY", "SECONDARY", "AXIAL", "LOCALIZER", "OTHER",
        "NONE", "M", "P", "R", "I", "ND", "NORM", "SE", "FFE", "IR", "MPR", "MIP",
    ),
    "Modality": (
        "ANN", "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CFM", "CR", "CT", "CTPROTOCOL", "DG",
        "DMS", "DOC", "DX", "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO",
        "IOL", "IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM", "OCT",
        "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR", "PT",
        "PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD",
        "RTRECORD", "RTSEGANN", "RTSTRUCT", "RWV", "SC", "SEG", "SM", "SMR", "SR", "SRF", "STAIN",
        "TEXTUREMAP", "TG", "US", "VA", "XA", "XAPROTOCOL", "XC",
    ),
    "ScanningSequence": ("SE", "IR", "GR", "EP", "RM"),
    "SequenceVariant": ("SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "TOF", "NONE"),
    "ScanOptions": ("PER", "RG", "CG", "PPG", "FC", "PFF", "PFP", "SP", "FS"),
    "MRAcquisitionType": ("1D", "2D", "3D"),
}  # fmt: skip


def deidentify(file: DicomFile, layout: PixelLayout) -> Dataset:
    """A data set with the listed attributes, fresh UIDs, its file meta group, and the pixels.

    Encapsulated pixels lose the comments in their frames (`codestream`); native ones end where
    their layout says, since what follows is no picture. Raises `BadImage` for a compressed frame
    that can't be read.
    """
    clean = _allowed(file.header)
    sop_class = UID(text(file.header, "SOPClassUID") or SecondaryCaptureImageStorage)
    clean.SOPClassUID = sop_class if sop_class.is_valid else SecondaryCaptureImageStorage
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(clean, keyword, generate_uid(prefix=None))
    # PatientIdentityRemoved would speak for the pixels too (PS3.3), which nobody looked at.
    clean.DeidentificationMethod = "Attribute allow-list, fresh UIDs; pixels not examined"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = clean.SOPClassUID
    meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    meta.TransferSyntaxUID = file.transfer_syntax
    clean.file_meta = meta
    clean.add(_pixel_element(file, layout))
    return clean


def known_modality(header: Dataset) -> str | None:
    """The modality, where it is one of the defined terms; None for anything else."""
    found = code(header, "Modality")
    return found if found in _TERMS["Modality"] else None


def to_bytes(clean: Dataset) -> bytes:
    """The data set as a DICOM file, in its transfer syntax."""
    target = io.BytesIO()
    dcmwrite(target, clean, enforce_file_format=True)
    return target.getvalue()


def _pixel_element(file: DicomFile, layout: PixelLayout) -> DataElement:
    encapsulated = file.transfer_syntax.is_encapsulated
    vr = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}.get(file.pixel_keyword)
    if vr is None:
        vr = "OB" if encapsulated or file.pixel_vr == "OB" else "OW"
    value = file.pixel_value[: layout.native_bytes]
    if encapsulated:
        value = blank_comments(value, file.transfer_syntax, layout.frames)
    if len(value) % 2:
        value += b"\x00"
    element = DataElement(PIXEL_TAGS[file.pixel_keyword], vr, value)
    element.is_undefined_length = encapsulated
    return element


def _allowed(elements: Dataset) -> Dataset:
    clean = Dataset()
    for keyword in _ALLOWED:
        try:
            element = elements[keyword]
        except DECODER_ERRORS:
            # Missing; or it can't be parsed, so it can't be checked, and does not pass.
            continue
        if element.VR not in dictionary_VR(element.tag).split(" or "):
            continue
        if isinstance(element.value, Sequence):
            clean.add_new(element.tag, "SQ", Sequence(map(_allowed, element.value)))
        elif element.VR == "CS":
            known = [term for term in _parts(element) if term in _TERMS[keyword]]
            if known:
                clean.add_new(element.tag, "CS", known)
        elif _is_harmless(element):
            clean.add_new(element.tag, element.VR, element.value)
    return clean


def _parts(element: DataElement) -> list[object]:
    value = element.value
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


def _is_harmless(element: DataElement) -> bool:
    # Numbers and tables of numbers: nothing that can spell out a name or a date.
    if element.VR in ("OW", "OV"):
        return isinstance(element.value, bytes)
    return all(isinstance(part, (int, float, Decimal)) for part in _parts(element))
