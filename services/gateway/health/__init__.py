"""Whether the system can work, part by part."""
