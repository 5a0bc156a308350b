"""The object store, above all while it is away."""

import time
from pathlib import Path

import pytest

from neuroscan.contracts.problems import Unavailable
from neuroscan.storage import ObjectNotFound, Storage

KEY = "scans/1/slice.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "the objects"


@pytest.fixture
def storage(folder: Path) -> Storage:
    storage = Storage(folder.as_uri())
    storage.put(KEY, b"slice")
    return storage


def assert_away(storage: Storage) -> None:
    for call in (
        lambda: storage.get(KEY),
        lambda: storage.put("scans/2/slice.png", b"other"),
        lambda: storage.delete([KEY]),
        lambda: storage.delete_prefix("scans/1"),
        storage.check,
    ):
        with pytest.raises(Unavailable):
            call()


def test_what_was_put_is_there_until_it_is_deleted(storage: Storage, folder: Path) -> None:
    assert (folder / KEY).read_bytes() == b"slice"
    assert storage.get(KEY) == b"slice"
    assert storage.list("scans/1") == [KEY]
    storage.delete_prefix("scans/1")
    with pytest.raises(ObjectNotFound):
        storage.get(KEY)
    storage.delete([KEY])
    storage.check()


def test_a_folder_that_vanished_is_away_and_not_empty(storage: Storage, folder: Path) -> None:
    away = folder.rename(folder.with_name("away"))
    assert_away(storage)
    assert not folder.exists()
    away.rename(folder)
    assert storage.get(KEY) == b"slice"


def test_a_file_in_the_folders_place_is_a_store_that_is_away(
    storage: Storage, folder: Path
) -> None:
    away = folder.rename(folder.with_name("away"))
    folder.touch()
    assert_away(storage)
    folder.unlink()
    away.rename(folder)
    assert storage.get(KEY) == b"slice"


def test_a_store_that_is_away_at_the_start_is_used_once_it_is_there(folder: Path) -> None:
    folder.touch()
    storage = Storage(folder.as_uri())
    assert_away(storage)
    folder.unlink()
    storage.put(KEY, b"slice")
    assert storage.get(KEY) == b"slice"


def test_a_bucket_that_does_not_answer_is_away_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "us-east-1",
        # Nothing listens on port 1.
        "AWS_ENDPOINT": "http://127.0.0.1:1",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    storage = Storage("s3://bucket/prefix")
    began = time.monotonic()
    with pytest.raises(Unavailable):
        storage.get(KEY)
    assert time.monotonic() - began < 10


def test_a_large_listing_comes_in_pages_with_the_time_of_each(storage: Storage) -> None:
    written = {KEY} | {f"scans/2/explain/1-r/{number}" for number in range(1500)}
    for key in written - {KEY}:
        storage.put(key, b"")
    storage.put("erased/scans/3", b"")
    pages = list(storage.pages("scans"))
    assert max(map(len, pages)) <= 1000
    found = [stored for page in pages for stored in page]
    assert {stored.key for stored in found} == written
    assert len(found) == len(written)
    assert all(abs(stored.modified.timestamp() - time.time()) < 60 for stored in found)
