"""What several commands share: the default folder."""

from pathlib import Path

DEFAULT_DATA_DIR = Path("neuroscan-data")
