"""Measurements of the finished system, on annotated slices and on phantoms."""
