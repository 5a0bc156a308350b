"""The boundary between the parts of a multipart form (RFC 2046, 5.1.1)."""

from python_multipart.multipart import parse_options_header


def boundary_of(content_type: str) -> bytes:
    """The boundary that a `Content-Type` names; empty where it is no form's or names none."""
    kind, options = parse_options_header(content_type)
    return options.get(b"boundary", b"") if kind == b"multipart/form-data" else b""
