"""HTTP below the transports: connection takeover, fast-path parser, handshakes, responses, CORS."""
