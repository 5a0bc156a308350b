"""The object store: a folder, or S3, behind four verbs.

Keys are made of ids and fixed words only (`scans/{id}/explain/{attempt}-{run}/overlay.png`).
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError as ObstoreError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from neuroscan.contracts.problems import NotFound, Unavailable
from neuroscan.settings import StoreSettings

if TYPE_CHECKING:
    # These exist for type checkers only.
    from obstore.store import ClientConfig, RetryConfig, S3Config

# A store that does not answer must not hold up a request for long.
_CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=3),
    "timeout": timedelta(seconds=15),
}
_RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=15)}

# Objects in one page of a listing, as S3 has them.
_PAGE = 1000


class ObjectNotFound(NotFound):
    """No object has this key."""

    code = "object_not_found"


@dataclass(frozen=True)
class StoredObject:
    """What a listing tells of an object; `modified` is the store's own time."""

    key: str
    modified: datetime


class Storage:
    """Bytes by key. Every method raises `Unavailable` when the store does not answer.

    A folder is made here, and only here: one that vanishes later is a store that is away, not an
    empty one. Raises `obstore.exceptions.BaseError` for a URL that can't be understood.
    """

    def __init__(
        self,
        url: str,
        credentials: Mapping[str, str] | None = None,
        *,
        allow_http: bool = False,
    ) -> None:
        self._url = url
        self._credentials = dict(credentials or {})
        self._allow_http = allow_http
        self._folder = _folder(url)
        self._opened: ObjectStore | None = None
        # What can't be opened now may be back when it is used.
        with contextlib.suppress(Unavailable):
            self._open()

    @property
    def _store(self) -> ObjectStore:
        store = self._opened or self._open()
        if self._folder is not None and not self._folder.is_dir():
            raise Unavailable("The object store's folder is not there at present.")
        return store

    def _open(self) -> ObjectStore:
        try:
            self._opened = _open(
                self._url, self._folder, self._credentials, allow_http=self._allow_http
            )
        except OSError as error:
            raise Unavailable("The object store can't be opened at present.") from error
        return self._opened

    def put(self, key: str, content: bytes) -> None:
        """Write an object whole; readers see the old one or the new one, never a part."""
        try:
            obstore.put(self._store, key, content)
        except (ObstoreError, OSError) as error:
            raise Unavailable("The object store can't be written to at present.") from error

    def get(self, key: str) -> bytes:
        """The object's bytes; `ObjectNotFound` when there is none."""
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except FileNotFoundError as error:
            raise ObjectNotFound from error
        except (ObstoreError, OSError) as error:
            raise Unavailable("The object store can't be read at present.") from error

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; one that is not there is no error."""
        try:
            for key in keys:
                try:
                    obstore.delete(self._store, key)
                except FileNotFoundError:
                    continue
        except (ObstoreError, OSError) as error:
            raise Unavailable("The object store can't be written to at present.") from error

    def list(self, prefix: str) -> list[str]:
        """All keys below a prefix (whole path segments)."""
        return [stored.key for page in self.pages(prefix) for stored in page]

    def pages(self, prefix: str) -> Iterator[tuple[StoredObject, ...]]:
        """What lies below a prefix, a bounded number at a time, in any order."""
        try:
            for page in obstore.list(self._store, prefix, chunk_size=_PAGE):
                yield tuple(StoredObject(meta["path"], meta["last_modified"]) for meta in page)
        except (ObstoreError, OSError) as error:
            raise Unavailable("The object store can't be read at present.") from error

    def delete_prefix(self, prefix: str) -> None:
        """Delete everything below a prefix."""
        self.delete(self.list(prefix))

    def check(self) -> None:
        """Write a probe and read it; raises `Unavailable`."""
        key = "health/probe"
        self.put(key, b"ok")
        self.get(key)


def _folder(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def open_storage(settings: StoreSettings) -> Storage:
    """The store that the environment names, with the keys of its files."""
    keys = {
        "aws_access_key_id": settings.aws_access_key_id,
        "aws_secret_access_key": settings.aws_secret_access_key,
    }
    given = {name: key.get_secret_value() for name, key in keys.items() if key}
    is_s3 = settings.object_store_url.startswith("s3:")
    return Storage(
        settings.object_store_url,
        given if is_s3 else None,
        allow_http=settings.aws_allow_http,
    )


def _open(
    url: str, folder: Path | None, credentials: dict[str, str], *, allow_http: bool
) -> ObjectStore:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(folder, automatic_cleanup=True, mkdir=True)
    if url.startswith("memory:"):
        return MemoryStore()
    return from_url(
        url,
        config=cast("S3Config", credentials) if credentials else None,
        client_options={**_CLIENT, "allow_http": allow_http},
        retry_config=_RETRY,
    )
