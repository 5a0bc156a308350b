"""The same request sent twice is done once."""
