"""Take out of a virtual environment what nothing runs: tests, stubs, headers, doubled libraries.

Some wheels carry a shared library under three names, three times over; links do the same.
"""

import filecmp
import shutil
import sys
from collections import defaultdict
from pathlib import Path

_LARGE_BYTES = 32 * 1024
_UNUSED = (".pyi", ".pxd", ".pyx", ".h", ".a")


def drop_unused(root: Path) -> None:
    """Remove packages' own tests, type stubs, and what only a compiler or a scanner reads."""
    for folder in [each for each in root.rglob("tests") if each.is_dir()]:
        shutil.rmtree(folder, ignore_errors=True)
    for folder in root.glob("**/*.dist-info/sboms"):
        shutil.rmtree(folder, ignore_errors=True)
    for suffix in _UNUSED:
        for file in root.rglob(f"*{suffix}"):
            file.unlink()


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
        drop_unused(Path(name))
        link_doubles(Path(name))
