"""Who read or changed which patient or scan."""
