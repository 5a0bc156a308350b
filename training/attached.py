"""The card's sections that other commands wrote: a JSON of figures and a Markdown text each.

`explain-quality` and `benchmarks.spatial` write both beside the evaluation; the JSON names the
weights and settings that were measured, so that no section of another bundle reaches a card.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from neuroscan.network.bundle import Description
from training.errors import DataError
from training.own_results import require_own

# The commands that write them, in the order in which they stand in the card.
COMMANDS = {
    "explain-quality": "python -m training explain-quality",
    "spatial": "python -m benchmarks.spatial",
}


@dataclass(frozen=True)
class Attached:
    """One section: its file's stem, its text in Markdown, and its figures as they stand in JSON."""

    name: str
    text: str
    figures: dict[str, object]

    @property
    def command(self) -> str:
        """What measured it."""
        return COMMANDS[self.name]


def read_attached(folder: Path, description: Description) -> list[Attached]:
    """The sections that lie in `folder`; raises `DataError` for one of another bundle."""
    return [
        _read(folder, name, description) for name in COMMANDS if (folder / f"{name}.json").is_file()
    ]


def _read(folder: Path, name: str, description: Description) -> Attached:
    figures = json.loads((folder / f"{name}.json").read_text("utf-8"))
    text = folder / f"{name}.md"
    if not isinstance(figures, dict) or not text.is_file():
        raise DataError(f"{folder}/{name}: the JSON and the Markdown belong together")
    require_own(figures, description, name)
    if "sha256" not in figures:
        raise DataError(f"{folder}/{name}.json does not say which weights were measured")
    return Attached(name, text.read_text("utf-8").strip(), figures)
