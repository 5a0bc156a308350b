"""The gateway: the public API, and its recorder, which alone writes results."""
