"""Shares, numbers and tables as Markdown."""

from collections.abc import Iterable, Sequence

from training.metrics import Estimate

METHOD_NAMES = {"hirescam": "HiRes-CAM", "gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++"}


def share(found: Estimate | None) -> str:
    """A share in per cent with its interval."""
    if found is None:
        return "–"
    return f"{found.value:.1%} ({found.low:.1%}–{found.high:.1%})"


def number(found: Estimate | None, digits: int = 3) -> str:
    """A number with its interval."""
    if found is None:
        return "–"
    return f"{found.value:.{digits}f} ({found.low:.{digits}f}–{found.high:.{digits}f})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
