"""`python -m rtserver`: the command `rtserver`."""

from rtserver.cli import main

if __name__ == "__main__":
    main()
