"""`python -m lithoscope` is the command line."""

from lithoscope.cli import main

if __name__ == "__main__":
    main()
