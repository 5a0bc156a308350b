"""What goes wrong with the data that a command is given."""


class DataError(ValueError):
    """The folder given with `--data` is not what it should be, or a file of it can't be read."""
