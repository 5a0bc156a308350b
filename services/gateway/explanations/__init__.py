"""Explanations of a scan beside its own: ask, list, read, artefacts."""
