"""The card of the model in use: what was measured on it, with figures, from its bundle's folder."""
