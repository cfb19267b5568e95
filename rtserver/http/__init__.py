"""HTTP: the API, the pages, health and metrics, CORS, and the error boundary of requests."""
