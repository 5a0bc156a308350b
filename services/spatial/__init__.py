"""The spatial worker: ten parameters from a slice and its region."""
