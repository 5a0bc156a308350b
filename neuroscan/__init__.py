"""NeuroScan: what the services speak and compute with.

Importing the package loads nothing else: `neuroscan.network` and `training` run where neither
pydantic nor the service libraries are installed.
"""

__version__ = "0.1.0"

NOTICE = "Research use only. Not for diagnosis."
