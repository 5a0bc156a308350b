"""How much a caller may send, and when no new work is taken."""
