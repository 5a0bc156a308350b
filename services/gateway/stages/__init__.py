"""Stages that failed for good: list them, try them again."""
