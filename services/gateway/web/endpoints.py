"""`/`: the page. `/web/…`: its files. Open to anybody: they hold nothing of anybody."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from neuroscan.contracts.problems import NotFound
from services.gateway.auth.principal import ANYBODY
from services.gateway.scans.conditions import names_tag
from services.gateway.web.files import WebFile, WebFiles

router = APIRouter(include_in_schema=False)

# Nothing from another host, no script and no style but from files, no HTML out of text.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' blob: data:",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
}
# A changed page is seen at once; what its address names never changes.
ALWAYS_ASK = "no-cache"
FOR_GOOD = "public, max-age=31536000, immutable"

FILES = WebFiles.load()


@router.get("/", dependencies=[ANYBODY])
def page(request: Request) -> Response:
    """The page."""
    return _answer(request, FILES.page, ALWAYS_ASK, PAGE_HEADERS)


@router.get("/web/{path:path}", dependencies=[ANYBODY])
def file(request: Request, path: Annotated[str, Path()]) -> Response:
    """One of the page's files."""
    found = FILES.find(path)
    if found is None:
        raise NotFound("The page has no such file. Load the page again: it may have been updated.")
    web_file, for_good = found
    return _answer(request, web_file, FOR_GOOD if for_good else ALWAYS_ASK, {})


def _answer(request: Request, web_file: WebFile, cache: str, further: dict[str, str]) -> Response:
    headers = {
        "ETag": web_file.etag,
        "Cache-Control": cache,
        "Vary": "Accept-Encoding",
        **further,
    }
    if names_tag(request.headers.get("if-none-match"), web_file.etag):
        return Response(status_code=304, headers=headers)
    content = web_file.content
    if web_file.packed is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
        content = web_file.packed
        headers["Content-Encoding"] = "gzip"
    return Response(content, headers=headers, media_type=web_file.media_type)


def _takes_gzip(accepted: str) -> bool:
    for each in accepted.split(","):
        name, _, weight = each.strip().partition(";")
        if name.strip().lower() == "gzip":
            return weight.strip().replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
