"""Authentication: tokens are found in the handshake, verified against keys, and issued. Knows no namespace."""
