"""Attacks on a running server, and another client that is served all the while."""
