"""Scans: submit, read, list, cancel, delete, artefacts."""
