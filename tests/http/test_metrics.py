"""rtserver/http/metrics.py: the endpoint that Prometheus scrapes."""

from rtserver.http.metrics import MetricsPage
from tests.http.conftest import Serve


class Counted:
    def exposition(self) -> bytes:
        return b"rtserver_connections 3\n"


async def test_metrics_are_in_the_format_of_prometheus(serve: Serve) -> None:
    client = await serve(MetricsPage(Counted()))
    answer = await client.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert await answer.read() == b"rtserver_connections 3\n"
