"""rtserver/http/health.py: responses to load balancers and supervisors."""

import asyncio

from structlog.testing import capture_logs

from rtserver.errors import Unavailable
from rtserver.http.health import Health
from tests.http.conftest import Serve


async def fine() -> None:
    return None


async def broken() -> None:
    raise Unavailable("no route to redis://user:secret@host")


async def hanging() -> None:
    await asyncio.Event().wait()


async def test_liveness_does_not_depend_on_checks(serve: Serve) -> None:
    client = await serve(Health(instance="a1", version="1.2.3", checks={"redis": broken}))
    answer = await client.get("/healthz")
    assert answer.status == 200
    assert await answer.json() == {"status": "alive", "instance": "a1", "version": "1.2.3"}


async def test_ready_when_every_check_passes(serve: Serve) -> None:
    client = await serve(Health(instance="a", version="1", checks={"database": fine, "redis": fine}))
    answer = await client.get("/readyz")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = await answer.json()
    assert body == {"status": "ready", "draining": False, "checks": {"database": "ok", "redis": "ok"}}


async def test_not_ready_names_the_failed_checks_and_no_secrets(serve: Serve) -> None:
    client = await serve(Health(instance="a", version="1", checks={"database": fine, "redis": broken}))
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert (await answer.json())["checks"] == {"database": "ok", "redis": "down"}
    assert "secret" not in await answer.text()


async def test_hanging_checks_are_down_after_one_common_timeout(serve: Serve) -> None:
    checks = {"database": hanging, "redis": hanging, "disk": fine}
    client = await serve(Health(instance="a", version="1", checks=checks, timeout=0.05))
    answer = await client.get("/readyz")
    assert (await answer.json())["checks"] == {"database": "down", "redis": "down", "disk": "ok"}


async def test_only_the_failure_of_a_check_that_passed_before_is_logged() -> None:
    """A service that is awaited at the start is logged by the code that connects to it."""
    up = False

    async def check() -> None:
        if not up:
            raise Unavailable("not there")

    health = Health(instance="a", version="1", checks={"redis": check})
    with capture_logs() as logs:
        assert await health.check() == await health.check() == {"redis": "down"}
        up = True
        assert await health.check() == {"redis": "ok"}
        assert logs == []
        up = False
        assert await health.check() == await health.check() == {"redis": "down"}
        up = True
        assert await health.check() == await health.check() == {"redis": "ok"}
    assert [line["event"] for line in logs] == ["check_failed", "check_recovered"]


async def test_a_draining_server_is_not_ready(serve: Serve) -> None:
    draining = False
    client = await serve(Health(instance="a", version="1", checks={}, draining=lambda: draining))
    assert (await client.get("/readyz")).status == 200
    draining = True
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert (await answer.json())["draining"] is True


async def test_concurrent_probes_share_one_round_of_checks() -> None:
    calls = 0
    go = asyncio.Event()

    async def slow() -> None:
        nonlocal calls
        calls += 1
        await go.wait()

    health = Health(instance="a", version="1", checks={"database": slow})
    probes = [asyncio.ensure_future(health.check()) for _ in range(20)]
    await asyncio.sleep(0)
    probes[0].cancel()  # A probe that disconnects does not affect the others.
    go.set()
    results = await asyncio.gather(*probes[1:])
    assert results == [{"database": "ok"}] * 19
    assert calls == 1
    await health.check()
    assert calls == 2
