"""Readers' verdicts on scans, and what they say of the network."""
