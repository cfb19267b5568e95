"""Origin checks, and the CORS headers of responses."""

from __future__ import annotations

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from rtserver.engine.http.cors import OriginPolicy
from rtserver.protocol.addresses import TrustedPeers
from tests.engine.conftest import POLLING
from tests.engine.wire import request, upgrade

PAGE = "https://app.example.com"
FORBIDDEN = {"code": 4, "message": "Forbidden"}


def cors(answer):
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("allowed", [PAGE, [PAGE, "https://other.example.com"], "*", lambda origin: origin == PAGE, lambda origin, environ: "PATH_INFO" in environ])  # fmt: skip  # noqa: E501
async def test_an_allowed_page_gets_cors_headers(serve, allowed):
    served = await serve(cors_allowed_origins=allowed)
    answer = await served.ask(request("GET", POLLING, Origin=PAGE))
    assert answer.status == 200
    assert cors(answer) == {"access-control-allow-origin": PAGE, "access-control-allow-credentials": "true"}
    assert answer.headers["vary"] == "Origin"
    wire = await served.wire()
    assert cors(await wire.upgrade(Origin=PAGE))["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("allowed", [None, "https://other.example.com", [f"{PAGE}.evil.example"], lambda origin: False])
async def test_other_pages_are_refused_over_either_transport(serve, allowed):
    served = await serve(cors_allowed_origins=allowed)
    answer = await served.ask(request("GET", POLLING, Origin=PAGE))
    assert (answer.status, answer.json(), cors(answer)) == (403, FORBIDDEN, {})
    answer = await served.ask(upgrade("EIO=4&transport=websocket", Origin=PAGE))
    assert (answer.status, cors(answer)) == (400, {})
    assert not served.listener.sessions


JSONP = "EIO=3&transport=polling&j=0"


@pytest.mark.parametrize(
    ("allowed", "headers", "status"),
    [
        (None, {"Sec-Fetch-Site": "cross-site"}, 403), (PAGE, {"Sec-Fetch-Site": "cross-site"}, 403),
        ([PAGE], {"Sec-Fetch-Site": "same-site"}, 403), (None, {"Sec-Fetch-Site": "same-site"}, 403),
        (None, {}, 403), (PAGE, {}, 403), (PAGE, {"Sec-Fetch-Site": "same-origin, cross-site"}, 403),
        (PAGE, {"Referer": "https://evil.example/" + PAGE}, 403), (PAGE, {"Referer": "about:blank"}, 403),
        (PAGE, {"Referer": f"{PAGE}.evil.example/"}, 403), (PAGE, {"Referer": f"{PAGE}@evil.example/"}, 403),
        (lambda origin: origin == PAGE, {"Referer": "https://evil.example/"}, 403),
        (None, {"Sec-Fetch-Site": "same-origin"}, 200), (PAGE, {"Sec-Fetch-Site": "none"}, 200),
        (PAGE, {"Referer": f"{PAGE}/chat?room=1"}, 200), (None, {"Referer": "https://test/"}, 200),
        ([PAGE], {"Sec-Fetch-Site": "same-site", "Referer": f"{PAGE}/"}, 200),
        (lambda origin: origin == PAGE, {"Sec-Fetch-Site": "cross-site", "Referer": f"{PAGE}/"}, 200),
        ("*", {"Sec-Fetch-Site": "cross-site"}, 200), (["*"], {}, 200), ([], {"Sec-Fetch-Site": "cross-site"}, 200),
    ],
)  # fmt: skip
async def test_jsonp_is_for_the_pages_that_may_connect(serve, allowed, headers, status):
    """Browsers load scripts without an Origin header, and add cookies to them."""
    served = await serve(cors_allowed_origins=allowed, allow_eio3=True)
    answer = await served.ask(request("GET", JSONP, **headers))
    assert (answer.status, len(served.listener.sessions)) == (status, status == 200)
    assert status == 200 or answer.json() == FORBIDDEN


@pytest.mark.parametrize(
    ("allowed", "headers", "status"),
    [
        (None, {"Sec-Fetch-Site": "cross-site"}, 403), (PAGE, {"Sec-Fetch-Site": "same-site"}, 403),
        (PAGE, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        (PAGE, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
        (PAGE, {"Sec-Fetch-Site": "cross-site", "Referer": f"{PAGE}/"}, 200), (None, {}, 200),
        (None, {"Sec-Fetch-Site": "same-origin"}, 200), (None, {"Sec-Fetch-Site": "none"}, 200),
        ("*", {"Sec-Fetch-Site": "cross-site"}, 200),
    ],
)  # fmt: skip
async def test_an_image_or_link_of_a_foreign_page_opens_no_session(serve, allowed, headers, status):
    """A page that polls sends its Origin, except to its own server."""
    served = await serve(cors_allowed_origins=allowed, allow_eio3=True)
    for query in (POLLING, "EIO=3&transport=polling"):
        assert (await served.ask(request("GET", query, **headers))).status == status
    assert len(served.listener.sessions) == (2 if status == 200 else 0)


async def test_jsonp_of_revision_4_is_refused(serve):
    """No client of that revision uses it."""
    served = await serve(cors_allowed_origins="*", allow_eio3=True)
    query, recorder = await served.poll_session()
    own = {"Sec-Fetch-Site": "same-origin"}
    for raw in (
        request("GET", f"{POLLING}&j=0", **own), request("GET", f"{POLLING}&j", **own), request("GET", f"{query}&j=1"),
        request("POST", f"{query}&j=1", b"d=4a"),
    ):  # fmt: skip
        answer = await served.ask(raw)
        assert (answer.status, answer.json()["code"]) == (400, 3)
    assert len(served.listener.sessions) == 1
    assert recorder.messages == []


async def test_jsonp_is_refused_where_a_cookie_identifies_visitors(serve):
    served = await serve(cors_allowed_origins="*", allow_eio3=True, identity_cookie="token")
    for headers in ({"Sec-Fetch-Site": "same-origin", "Cookie": "token=x"}, {"Referer": f"{PAGE}/"}, {}):
        answer = await served.ask(request("GET", JSONP, **headers))
        assert (answer.status, answer.json()) == (403, FORBIDDEN)
    assert not served.listener.sessions


@pytest.mark.parametrize("allowed", ["*", lambda origin: True])
async def test_an_invalid_origin_is_refused_before_a_session_is_opened(serve, allowed):
    served = await serve(cors_allowed_origins=allowed)
    for raw in (request("GET", POLLING, Origin="PAGE"), upgrade("EIO=4&transport=websocket", Origin="PAGE")):
        answer = await served.ask(raw.replace(b"PAGE", b"http://\xff"))
        assert answer.status in (400, 403)
    assert not served.listener.sessions


async def test_a_page_that_is_not_allowed_cannot_use_an_open_session(serve):
    served = await serve(cors_allowed_origins="https://other.example.com")
    query, recorder = await served.poll_session()
    assert (await served.ask(request("POST", query, b"4a", Origin=PAGE))).status == 403
    assert (await served.ask(request("GET", query, Origin=PAGE))).status == 403
    upgrading = upgrade(f"EIO=4&transport=websocket&sid={recorder.session.id}", Origin=PAGE)
    assert (await served.ask(upgrading)).status == 400
    assert recorder.messages == []


@pytest.mark.parametrize("origin", ["http://test", "https://test"])
async def test_pages_of_the_servers_own_host_may_connect(serve, origin):
    served = await serve()
    headers = {"X-Forwarded-Proto": "https"} if origin.startswith("https") else {}
    assert (await served.ask(request("GET", POLLING, Origin=origin, **headers))).status == 200


@pytest.mark.parametrize("origin", ["null", "http://test.evil.example", "http://evil.example/http://test", "file://"])
async def test_similar_origins_are_not_the_own_host(serve, origin):
    served = await serve()
    assert (await served.ask(request("GET", POLLING, Origin=origin))).status == 403


async def test_a_request_without_origin_is_allowed(serve):
    served = await serve(cors_allowed_origins=PAGE)
    answer = await served.ask(request("GET", POLLING))
    assert (answer.status, cors(answer)) == (200, {})


async def test_an_empty_list_disables_the_check(serve):
    served = await serve(cors_allowed_origins=[])
    answer = await served.ask(request("GET", POLLING, Origin=PAGE))
    assert (answer.status, cors(answer)) == (200, {})


async def test_credentials_can_be_disabled(serve):
    served = await serve(cors_allowed_origins="*", cors_credentials=False)
    answer = await served.ask(request("GET", POLLING, Origin=PAGE))
    assert cors(answer) == {"access-control-allow-origin": PAGE}


async def test_an_allowed_page_can_read_refusals(serve):
    served = await serve(cors_allowed_origins="*")
    answer = await served.ask(request("GET", f"{POLLING}&sid=nobody", Origin=PAGE))
    assert (answer.status, cors(answer)["access-control-allow-origin"]) == (400, PAGE)


async def test_every_response_of_a_session_has_the_headers(serve):
    served = await serve(cors_allowed_origins="*", echo=True)
    query, _ = await served.poll_session()
    wire = await served.wire()
    for asked in (request("POST", query, b"4a", Origin=PAGE), request("GET", query, Origin=PAGE)) * 2:
        assert cors(await wire.ask(asked))["access-control-allow-origin"] == PAGE
    # The same connection, as through a proxy, used by another page.
    answer = await wire.ask(request("POST", query, b"4a", Origin="https://two.example.com"))
    assert cors(answer)["access-control-allow-origin"] == "https://two.example.com"
    assert "access-control-allow-origin" not in (await wire.ask(request("POST", query, b"4a"))).headers


async def test_preflights_are_answered_as_node_does(serve):
    served = await serve(cors_allowed_origins="*")
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-own"}
    answer = await served.ask(request("OPTIONS", POLLING, Origin=PAGE, **asked))
    assert (answer.status, answer.body) == (204, b"")
    assert cors(answer) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
        "access-control-allow-headers": "content-type,x-own",
        "access-control-max-age": "600",
    }


async def test_a_preflight_of_another_page_is_refused(serve):
    served = await serve(cors_allowed_origins="https://other.example.com")
    answer = await served.ask(request("OPTIONS", POLLING, Origin=PAGE))
    assert (answer.status, cors(answer)) == (403, {})


async def test_an_origin_counts_in_any_form_over_either_transport(serve):
    """The setting and the request may write it in different ways; the response repeats what was sent."""
    configured = [
        "HTTPS://App.Example.com:443/",
        "file:///",
        "ionic://localhost",
        "null",
        "https://b\u00fccher.example",
    ]
    served = await serve(cors_allowed_origins=configured)
    allowed = [
        PAGE, f"{PAGE}:443", f"{PAGE}/", "HTTPS://APP.EXAMPLE.COM", "wss://app.example.com", "file://", "FILE:///",
        "null", "Ionic://localhost", "https://xn--bcher-kva.example",
    ]  # fmt: skip
    for origin in allowed:
        answer = await served.ask(request("GET", POLLING, Origin=origin))
        assert (answer.status, cors(answer)["access-control-allow-origin"]) == (200, origin), origin
        fast = await (await served.wire()).upgrade(Origin=origin)
        assert cors(fast)["access-control-allow-origin"] == origin
    opened = len(served.listener.sessions)
    refused = [
        f"{PAGE}.evil.example", f"{PAGE}:8443", "http://app.example.com", "https://evil@app.example.com", f"{PAGE}\\",
        "https://x.app.example.com", f"{PAGE}, https://evil.example", f"{PAGE}/x", "file://localhost", "capacitor://localhost",
        "", "https://b\u00fccher.example",
    ]  # fmt: skip
    for origin in refused:
        answer = await served.ask(request("GET", POLLING, Origin=origin))
        assert (answer.status, cors(answer)) == (403, {}), origin
        assert (await served.ask(upgrade("EIO=4&transport=websocket", Origin=origin))).status == 400, origin
    assert len(served.listener.sessions) == opened


async def test_two_origins_in_one_request_are_none(serve):
    served = await serve(cors_allowed_origins=PAGE)
    twice = request("GET", POLLING, Origin=PAGE).replace(b"\r\n\r\n", b"\r\nOrigin: https://evil.example\r\n\r\n")
    answer = await served.ask(twice)
    assert (answer.status in (400, 403), cors(answer)) == (True, {})
    assert not served.listener.sessions


OWN = [
    ("wss://rt.example.com", {"Host": "rt.example.com:443"}), ("https://rt.example.com", {"Host": "rt.example.com"}),
    ("HTTP://RT.EXAMPLE.COM/", {"Host": "rt.example.com"}), ("http://rt.example.com:80", {"Host": "rt.example.com"}),
    ("http://rt.example.com:8080", {"Host": "rt.example.com"}),
    ("https://rt.example.com", {"Host": "rt.example.com", "X-Forwarded-Proto": "HTTPS"}),
    (
        "https://rt.example.com",
        {"Host": "inner", "X-Forwarded-Proto": "https,http", "X-Forwarded-Host": "rt.example.com:443, i"},
    ),
    ("https://rt.example.com:8443", {"Host": "rt.example.com:80", "X-Forwarded-Port": "8443"}),
]  # fmt: skip
OF_A_PROXY = [(origin, headers) for origin, headers in OWN if {"X-Forwarded-Host", "X-Forwarded-Port"} & set(headers)]
FOREIGN = [
    ("https://rt.example.com.evil.example", {"Host": "rt.example.com"}),
    ("http://rt.example.com", {"Host": "rt.example.com", "X-Forwarded-Proto": "HTTPS"}),
    ("http://rt.example.com:8081", {"Host": "rt.example.com:8080"}),
    ("https://rt.example.com", {"Host": "evil.example", "X-Forwarded-Host": "evil.example, rt.example.com"}),
]  # fmt: skip


async def test_the_own_host_counts_in_any_form_over_either_transport(serve):
    served = await serve(trusted_proxies=["127.0.0.0/8"])
    for origin, headers in OWN:
        answer = await served.ask(request("GET", POLLING, Origin=origin, **headers))
        assert (answer.status, cors(answer)["access-control-allow-origin"]) == (200, origin), (origin, headers)
        assert (await served.ask(upgrade("EIO=4&transport=websocket", Origin=origin, **headers))).status == 101
    opened = len(served.listener.sessions)
    for origin, headers in FOREIGN:
        assert (await served.ask(request("GET", POLLING, Origin=origin, **headers))).status == 403, (origin, headers)
        assert (await served.ask(upgrade("EIO=4&transport=websocket", Origin=origin, **headers))).status == 400
    assert len(served.listener.sessions) == opened


@pytest.mark.parametrize("proxies", [[], ["10.0.0.0/8"], ["unix"]])
async def test_only_a_trusted_proxy_tells_the_own_host(serve, proxies):
    for served in (
        await serve(trusted_proxies=proxies),
        await serve(cors_allowed_origins=OriginPolicy([], own_host=True, trusted=TrustedPeers(proxies))),
    ):
        for origin, headers in OF_A_PROXY:
            assert (await served.ask(request("GET", POLLING, Origin=origin, **headers))).status == 403
            assert (await served.ask(upgrade("EIO=4&transport=websocket", Origin=origin, **headers))).status == 400
        assert not served.listener.sessions


async def test_a_page_of_http_is_of_the_own_host_only_where_no_proxy_can_have_decrypted_it(serve):
    served = await serve(cors_allowed_origins=OriginPolicy([], own_host=True, strict=True, log_rejected=True))
    for host, status in ((f"rt.example.com:{served.port}", 200), ("rt.example.com", 403), ("rt.example.com:1", 403)):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert (await served.ask(request("GET", POLLING, **headers))).status == status
        opened = (await served.ask(upgrade("EIO=4&transport=websocket", **headers))).status
        assert opened == (101 if status == 200 else 400)
    with capture_logs() as logs:
        await served.ask(request("GET", POLLING, Host="two.example.com", Origin="http://two.example.com"))
    assert "RTSERVER_TRUSTED_PROXIES" in logs[0]["reason"]


async def test_pages_of_the_visitors_machine_may_connect_where_loopback_is_allowed(serve):
    for loopback, status in ((True, 200), (False, 403)):
        served = await serve(cors_allowed_origins=OriginPolicy([PAGE], own_host=True, loopback=loopback))
        for origin in ("http://localhost:5173", "http://127.0.0.1:1", "http://[::1]:3000", "https://app.localhost"):
            assert (await served.ask(request("GET", POLLING, Origin=origin))).status == status, origin
        for origin in ("http://localhost.evil.example", "capacitor://localhost", "null", "http://192.168.1.5:5173"):
            assert (await served.ask(request("GET", POLLING, Origin=origin))).status == 403, origin


@pytest.mark.parametrize(
    ("allowed", "answered"),
    [(PAGE, True), ([PAGE, "*"], True), (lambda origin: True, True), ("*", False), (["*"], False), ([], False)],
)
async def test_only_named_pages_may_reach_a_private_network(serve, allowed, answered):
    served = await serve(cors_allowed_origins=allowed)
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Private-Network": "true"}
    answer = await served.ask(request("OPTIONS", POLLING, Origin=PAGE, **asked))
    assert answer.status == 204
    assert cors(answer).get("access-control-allow-private-network") == ("true" if answered else None)
    answer = await served.ask(request("OPTIONS", POLLING, Origin=PAGE, **{"Access-Control-Request-Method": "GET"}))
    assert "access-control-allow-private-network" not in cors(answer)


async def test_a_preflight_is_answered_whatever_it_asks_for(serve):
    """Bytes beyond ASCII are no name of a header."""
    served = await serve(cors_allowed_origins=PAGE)
    raw = request("OPTIONS", POLLING, Origin=PAGE, **{"Access-Control-Request-Headers": "x-a"})
    answer = await served.ask(raw.replace(b"x-a", b"x-\xff\xe2\x82\xac"))
    assert answer.status in (204, 400)
    assert "access-control-allow-headers" not in cors(answer)


async def test_an_allowed_page_can_read_every_refusal(serve):
    async def refuse(handshake):
        return "not you" if "refuse" in handshake.query else None

    served = await serve(cors_allowed_origins=PAGE, allow_request=refuse, max_http_buffer_size=100)
    query, _ = await served.poll_session()
    refusals = [
        (request("GET", "EIO=4&transport=pigeon", Origin=PAGE), 400),
        (request("GET", "EIO=3&transport=polling", Origin=PAGE), 400),
        (request("POST", POLLING, b"x", Origin=PAGE), 400),
        (request("GET", f"{POLLING}&sid=none", Origin=PAGE), 400),
        (request("GET", f"{POLLING}&refuse", Origin=PAGE), 403),
        (upgrade("EIO=3&transport=websocket", Origin=PAGE), 400),
        (upgrade("EIO=4&transport=websocket&sid=none", Origin=PAGE), 400),
        (request("POST", query, b"4" * 101, Origin=PAGE), 413),
    ]
    for raw, status in refusals:
        answer = await served.ask(raw)
        assert (answer.status, cors(answer).get("access-control-allow-origin")) == (status, PAGE), raw
    served.engine.stop_accepting()
    for raw in (request("GET", POLLING, Origin=PAGE), upgrade("EIO=4&transport=websocket", Origin=PAGE)):
        answer = await served.ask(raw)
        assert (answer.status, cors(answer).get("access-control-allow-origin")) == (503, PAGE)


async def test_a_page_learns_that_a_hook_has_failed(serve):
    async def fail(handshake):
        raise RuntimeError("a secret")

    served = await serve(cors_allowed_origins=PAGE, allow_request=fail)
    for raw in (request("GET", POLLING, Origin=PAGE), upgrade("EIO=4&transport=websocket", Origin=PAGE)):
        answer = await served.ask(raw)
        assert (answer.status, cors(answer).get("access-control-allow-origin")) == (500, PAGE)
        assert "secret" not in answer.text


async def test_a_page_can_read_the_refusals_of_a_hook_that_raises(serve):
    async def refuse(handshake):
        raise web.HTTPTooManyRequests

    served = await serve(cors_allowed_origins=PAGE, allow_request=refuse)
    answer = await served.ask(request("GET", POLLING, Origin=PAGE))
    assert (answer.status, cors(answer).get("access-control-allow-origin")) == (429, PAGE)
