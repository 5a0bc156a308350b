"""A DICOM object without its patient: a new data set of listed attributes only.

An allow-list (compare PS3.15, annex E, which lists what to remove): pixel description, geometry,
modality and MR acquisition numbers. None of them is free text or a date, and a value that is not
a number, a code string, a UID or a lookup table is left out as well.
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

from neuroscan.imaging.dicom_file import PIXEL_TAGS, DicomFile
from neuroscan.imaging.dicom_values import is_code, text
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
    "ImagedNucleus",
    "PixelBandwidth",
)


def deidentify(file: DicomFile, pixel_bytes: int | None) -> Dataset:
    """A data set with the listed attributes, fresh UIDs, its file meta group, and the pixels.

    Encapsulated pixels stay byte for byte; native ones end at `pixel_bytes`, since what follows is
    no picture.
    """
    clean = _allowed(file.header)
    sop_class = UID(text(file.header, "SOPClassUID") or SecondaryCaptureImageStorage)
    clean.SOPClassUID = sop_class if sop_class.is_valid else SecondaryCaptureImageStorage
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(clean, keyword, generate_uid(prefix=None))
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = "Attribute allow-list, fresh UIDs"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = clean.SOPClassUID
    meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    meta.TransferSyntaxUID = file.transfer_syntax
    clean.file_meta = meta
    clean.add(_pixel_element(file, pixel_bytes))
    return clean


def to_bytes(clean: Dataset) -> bytes:
    """The data set as a DICOM file, in its transfer syntax."""
    target = io.BytesIO()
    dcmwrite(target, clean, enforce_file_format=True)
    return target.getvalue()


def _pixel_element(file: DicomFile, pixel_bytes: int | None) -> DataElement:
    encapsulated = file.transfer_syntax.is_encapsulated
    vr = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}.get(file.pixel_keyword)
    if vr is None:
        vr = "OB" if encapsulated or file.pixel_vr == "OB" else "OW"
    value = file.pixel_value[:pixel_bytes]
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
        elif _is_harmless(element):
            clean.add_new(element.tag, element.VR, element.value)
    return clean


def _is_harmless(element: DataElement) -> bool:
    # Numbers, code strings, tables of numbers: nothing that can spell out a name or a date.
    value = element.value
    parts = list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]
    if element.VR == "CS":
        return all(map(is_code, parts))
    if element.VR in ("OW", "OV"):
        return isinstance(value, bytes)
    return all(isinstance(part, (int, float, Decimal)) for part in parts)
