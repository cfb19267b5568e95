"""The server process: listening, start-up, shutdown, systemd."""
