"""Further analyses of a scan, by the model that runs now."""
