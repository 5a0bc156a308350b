"""The page's files, read once: their types, their tags, and the one digest that names them all.

The page loads everything from `/web/{digest}/…`, which never changes and so is kept by browsers
for good; another version of the files has another digest.
"""

import gzip
import hashlib
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "static"
PAGE = "page.html"
ENTRY = "js/app.js"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
# PNG is packed already.
_PACKED = {".png"}
_STATIC_IMPORT = re.compile(rb'^(?:import|export)\s[^;]*?"(\.{1,2}/[^"]+\.js)";', re.MULTILINE)


@dataclass(frozen=True)
class WebFile:
    """A file as it is sent; `packed` is its gzip form, where that is smaller."""

    content: bytes
    packed: bytes | None
    etag: str
    media_type: str


@dataclass(frozen=True)
class WebFiles:
    """All files by their path under the folder, and the page with its addresses filled in."""

    digest: str
    files: dict[str, WebFile]
    page: WebFile

    @classmethod
    def load(cls, folder: Path = FOLDER) -> "WebFiles":
        """Read a folder; raises `KeyError` for a file of a type that the page does not use."""
        contents = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        everything = hashlib.sha256()
        for name, content in contents.items():
            everything.update(f"{name}\0{len(content)}\0".encode() + content)
        digest = everything.hexdigest()[:16]
        page = contents.pop(PAGE)
        base = f"/web/{digest}"
        preloads = "\n".join(
            f'  <link rel="modulepreload" href="{base}/{name}">'
            for name in modules_of(contents, ENTRY)
        )
        page = page.replace(b"{{preloads}}", preloads.encode()).replace(b"{{base}}", base.encode())
        return cls(
            digest,
            {name: _web_file(Path(name), content) for name, content in contents.items()},
            _web_file(Path(PAGE), page),
        )

    def find(self, path: str) -> tuple[WebFile, bool] | None:
        """A file by `{digest}/name` or by its name alone, and whether it is named for good."""
        first, _, rest = path.partition("/")
        if first == self.digest and rest in self.files:
            return self.files[rest], True
        return (self.files[path], False) if path in self.files else None


def modules_of(contents: dict[str, bytes], entry: str) -> list[str]:
    """The modules that a module loads before it runs, itself first, each once."""
    found: dict[str, None] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop(0)
        if name in found:
            continue
        found[name] = None
        waiting += [
            posixpath.normpath(posixpath.join(posixpath.dirname(name), target.decode()))
            for target in _STATIC_IMPORT.findall(contents[name])
        ]
    return list(found)


def _web_file(name: Path, content: bytes) -> WebFile:
    packed = None if name.suffix in _PACKED else gzip.compress(content, 9, mtime=0)
    return WebFile(
        content,
        packed if packed and len(packed) < len(content) else None,
        f'"{hashlib.sha256(content).hexdigest()[:20]}"',
        MEDIA_TYPES[name.suffix],
    )
