"""Who is connecting: tokens are found on the handshake, checked against the keys, and issued. Knows no namespace."""
