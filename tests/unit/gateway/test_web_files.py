"""The page's files: small, without a script or a style in the markup, named for good."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from services.gateway import errors
from services.gateway.web import endpoints
from services.gateway.web.files import ENTRY, FOLDER, WebFiles, modules_of

FILES = WebFiles.load()
MODULES = sorted(path for path in FOLDER.rglob("*.js"))


APP = FastAPI()
errors.install(APP)
APP.include_router(endpoints.router)


def get(path: str, **headers: str) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(call())


def test_the_page_comes_under_a_strict_policy() -> None:
    answer = get("/")
    policy = dict(
        part.partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert policy["default-src"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "connect", "font")} == {"'self'"}
    assert policy["img-src"] == "'self' blob: data:"
    assert (policy["base-uri"], policy["frame-ancestors"], policy["form-action"]) == (
        "'none'",
        "'none'",
        "'self'",
    )
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_the_page_is_asked_for_each_time_and_its_files_never_again() -> None:
    page = get("/")
    assert page.headers["Cache-Control"] == "no-cache"
    again = get("/", **{"If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    address = re.search(r'src="(/web/[0-9a-f]{16}/js/app\.js)"', page.text)
    assert address
    module = get(address[1])
    assert module.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert module.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    by_name = get("/web/js/app.js")
    assert by_name.content == module.content
    assert by_name.headers["Cache-Control"] == "no-cache"


def test_text_is_packed_for_those_who_take_it() -> None:
    packed = get("/web/css/base.css", **{"Accept-Encoding": "br, gzip"})
    plain = get("/web/css/base.css", **{"Accept-Encoding": "gzip;q=0"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content
    assert packed.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    ["../app.py", "%2e%2e/app.py", "js/", "js/none.js", "0000000000000000/js/app.js", "page.html"],
)
def test_nothing_but_the_files_is_found(path: str) -> None:
    answer = get(f"/web/{path}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_markup_holds_no_script_no_style_and_no_other_host() -> None:
    page = FILES.page.content.decode()
    assert re.findall(r"<script(?![^>]*\ssrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page) == []
    assert re.findall(r"https?://", page) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_is_short_says_what_it_is_and_makes_no_html_of_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("// ")
    assert len(text.splitlines()) <= 320
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text) == []
    )
    assert re.findall(r"""["'`]https?://(?!www\.w3\.org/2000/svg)""", text) == []


def test_every_import_leads_to_a_file() -> None:
    names = {name for name in FILES.files if name.endswith(".js")}
    contents = {name: FILES.files[name].content for name in names}
    for name in names:
        assert set(modules_of(contents, name)) <= names
    lazy = re.findall(rb'import\("\./([^"]+)"\)', contents[ENTRY])
    assert {f"js/{target.decode()}" for target in lazy} <= names


def test_the_page_preloads_what_it_needs_at_first_and_nothing_else() -> None:
    contents = {name: each.content for name, each in FILES.files.items()}
    preloaded = re.findall(
        r'modulepreload" href="/web/[0-9a-f]+/([^"]+)"', FILES.page.content.decode()
    )
    assert preloaded == modules_of(contents, ENTRY)
    assert not any("viewer" in name for name in preloaded)
