"""The page in a real Chromium, against the running system."""
