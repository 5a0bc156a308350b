"""Waiting for changes: one listening connection, long polls, event streams."""
