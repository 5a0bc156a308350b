"""Many slices sent together."""
