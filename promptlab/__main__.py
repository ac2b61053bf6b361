"""Runs the command line as ``python -m promptlab``, the same as ``promptlab``."""

from promptlab.cli import main

if __name__ == "__main__":
    main()
