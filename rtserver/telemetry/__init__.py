"""Telemetry: log lines and metrics."""

from rtserver.lazy_package import lazy_package

# The rest of it is HTTP servers, and metrics of the process that register themselves.
lazy_package("prometheus_client", {"CollectorRegistry": "registry", "generate_latest": "exposition"})
