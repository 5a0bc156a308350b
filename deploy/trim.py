"""Take out of a virtual environment what nothing runs: tests, type stubs, doubled libraries.

Some wheels carry a shared library under three names, three times over; links do the same.
"""

import filecmp
import shutil
import sys
from collections import defaultdict
from pathlib import Path

_LARGE_BYTES = 32 * 1024


def drop_tests(root: Path) -> None:
    """Remove packages' own tests and type stubs."""
    for folder in [each for each in root.rglob("tests") if each.is_dir()]:
        shutil.rmtree(folder, ignore_errors=True)
    for stub in root.rglob("*.pyi"):
        stub.unlink()


def link_doubles(root: Path) -> None:
    """Make links of large files that stand beside their double."""
    alike: dict[tuple[Path, int], list[Path]] = defaultdict(list)
    for file in sorted(root.rglob("*.so*")):
        if file.is_file() and not file.is_symlink() and file.stat().st_size >= _LARGE_BYTES:
            alike[file.parent, file.stat().st_size].append(file)
    for first, *others in alike.values():
        for other in others:
            if filecmp.cmp(first, other, shallow=False):
                other.unlink()
                other.symlink_to(first.name)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        drop_tests(Path(name))
        link_doubles(Path(name))
