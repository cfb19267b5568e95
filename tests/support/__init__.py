"""Real servers and clients for the tests: Redis, Postgres, nginx, Chromium, the JS client, rtserver."""
