"""The web app: a page and its files, over the public API only."""
