"""A bundle's card, metrics and figures, read from its folder without torch."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from neuroscan import NOTICE
from neuroscan.contracts.base import Contract
from neuroscan.contracts.problems import NotFound

_FIGURES = "figures"


class CardView(Contract):
    """A bundle's card in Markdown, its figures' names, and the numbers that the card is made of.

    `sha256` is that of the weights that all of this was measured on.
    """

    name: str
    version: str
    sha256: str
    markdown: str
    figures: list[str]
    metrics: dict[str, JsonValue]
    notice: str = NOTICE


@dataclass(frozen=True)
class Figure:
    """A PNG picture of the card."""

    content: bytes
    etag: str


class Card:
    """The card in one bundle's folder; read at each call: it is small and seldom asked for."""

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle

    def read(self) -> CardView:
        """The card; raises `NotFound` where the gateway has no bundle or the bundle no card."""
        try:
            facts = json.loads((self._bundle / "bundle.json").read_bytes())
            markdown = (self._bundle / "README.md").read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise NotFound(
                "The gateway has no card of the model. Set MODEL_BUNDLE to the bundle's folder."
            ) from error
        return CardView(
            name=facts["name"],
            version=facts["version"],
            sha256=facts["sha256"],
            markdown=markdown,
            figures=sorted(self._figures()),
            metrics=facts.get("metrics", {}),
        )

    def figure(self, name: str) -> Figure:
        """A figure by its name; raises `NotFound`."""
        path = self._figures().get(name)
        if path is None:
            raise NotFound("The card has no such figure. `GET /v1/model/card` lists them.")
        content = path.read_bytes()
        return Figure(content, f'"{hashlib.sha256(content).hexdigest()[:20]}"')

    def _figures(self) -> dict[str, Path]:
        return {path.name: path for path in (self._bundle / _FIGURES).glob("*.png")}
