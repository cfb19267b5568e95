"""HTTP: errors, CORS, health probes and metrics; the API and the pages are in the folders below."""
