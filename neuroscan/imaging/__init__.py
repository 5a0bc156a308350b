"""Bytes to a slice: JPEG, PNG and DICOM, with limits on size, time and memory."""
