"""`python -m neuroscan` is the command `neuroscan`."""

from neuroscan.cli import main

if __name__ == "__main__":
    main()
