"""What nginx passes on and what it writes down."""

import re

import pytest

from services.gateway.middleware import BATCH_REQUEST_BYTES_MAX, UPLOAD_BYTES_MAX
from tests.unit.deploy.files import DEPLOY

MAIN = (DEPLOY / "nginx/nginx.conf").read_text()
LOCATIONS = (DEPLOY / "nginx/locations.conf").read_text()
ID = "01998c1e-7c1e-7d43-a8c5-3a2f0f3f7a11"


def logged_path(uri: str) -> str:
    """As the `map` of nginx.conf has it; its expressions are read from there."""
    body = re.search(r"map \$uri \$logged_path \{(.*?)\n    \}", MAIN, re.DOTALL)
    assert body is not None
    for pattern, value in re.findall(r'^\s+"(.*?)" (\S+);$', body[1], re.MULTILINE):
        found = re.search(pattern[1:], uri) if pattern.startswith("~") else pattern == uri
        if found:
            return uri if value == "$uri" else str(value).strip('"')
    return "other"


@pytest.mark.parametrize(
    "uri",
    [
        "/",
        "/v1/scans",
        f"/v1/scans/{ID}",
        f"/v1/scans/{ID}/report.pdf",
        f"/v1/scans/{ID}/events",
        f"/v1/batches/{ID}/items",
        "/v1/patients/search",
        "/health/ready",
    ],
)
def test_our_own_paths_are_logged(uri: str) -> None:
    assert logged_path(uri) == uri


@pytest.mark.parametrize(
    "uri", ["/jane-doe", "/v1/jane", "/v1/patients/jane", "/v1/patients/Jane Doe", "/v1/scans/x"]
)
def test_a_path_that_may_hold_a_name_is_not(uri: str) -> None:
    assert logged_path(uri) == "other"


def test_no_line_holds_a_query_a_header_or_an_address() -> None:
    form = re.search(r"log_format events.*?;", MAIN, re.DOTALL)
    assert form is not None
    logged = set(re.findall(r"\$(\w+)", form[0]))
    assert logged == {
        *("time_iso8601", "request_method", "logged_path", "status", "body_bytes_sent"),
        *("request_time", "upstream_addr", "upstream_response_time", "correlation_id"),
    }
    assert set(re.findall(r"access_log (\S+)( \w+)?;", MAIN)) == {
        ("/dev/stdout", " events"),
        ("off", ""),
    }
    # Below that level nginx quotes the request's line.
    assert "error_log stderr crit;" in MAIN


def test_names_are_resolved_again_and_bodies_are_not_kept() -> None:
    assert "resolver 127.0.0.11 valid=5s" in MAIN
    assert "proxy_request_buffering off;" in LOCATIONS
    # A literal name would be resolved once.
    assert set(re.findall(r"proxy_pass (\S+);", LOCATIONS)) == {"http://$gateway"}


def test_nginx_takes_what_a_gateway_takes() -> None:
    sizes = [int(size) << 20 for size in re.findall(r"client_max_body_size (\d+)m;", LOCATIONS)]
    assert len(sizes) == 3
    assert sizes[1] >= UPLOAD_BYTES_MAX
    assert sizes[2] >= BATCH_REQUEST_BYTES_MAX


def test_tls_is_new_and_plain_requests_are_sent_there() -> None:
    tls = (DEPLOY / "nginx/tls.conf").read_text()
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in tls
    assert "return 308 https://" in tls
    assert "Strict-Transport-Security" in tls
