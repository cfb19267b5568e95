"""rtserver as a user starts it, set up by the environment alone."""

from rtserver.cli import main

if __name__ == "__main__":
    main()
