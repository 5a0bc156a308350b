"""The inference service: a slice in, its class and how far to trust it out."""
