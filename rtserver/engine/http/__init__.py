"""HTTP below the transports: takeover of connections, the fast-path parser, responses, CORS."""
