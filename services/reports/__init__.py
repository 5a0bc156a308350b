"""The reports service: a finished scan in, a PDF out; keeps nothing."""
