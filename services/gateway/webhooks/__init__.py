"""Signed notices of a scan's changes to addresses that callers name."""
