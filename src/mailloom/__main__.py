"""`python -m mailloom` is `mailloom`."""

from mailloom.cli import main

if __name__ == "__main__":
    main()
