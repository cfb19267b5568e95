"""Handshake data: the client's address behind proxies, and the headers that are kept."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from rtserver.engine.http.responses import BAD_REQUEST, Refusal
from rtserver.protocol import json
from rtserver.sio.client.handshake import MAX_QUERY_FIELDS, HandshakeReader
from tests.engine.wire import POLLING, Wire, request


class Transport:
    def __init__(self, peer):
        self._peer = peer

    def get_extra_info(self, name, default=None):
        return (self._peer, 5) if name == "peername" else default


def read(peer, headers=None, trusted=()):
    request = make_mocked_request("GET", "/socket.io/?EIO=4&token=secret", headers, transport=Transport(peer))
    return HandshakeReader(trusted).read(request)


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("10.0.0.1", None, [], "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1", [], "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1", ["10.0.0.0/8"], "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1", ["10.0.0.0/8"], "1.1.1.1"),
        ("10.0.0.1", "1.1.1.1, 10.0.0.2", ["10.0.0.0/8"], "1.1.1.1"),
        ("10.0.0.1", "garbage, 10.0.0.2", ["10.0.0.0/8"], "10.0.0.2"),
        ("10.0.0.1", "garbage", ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", "", ["10.0.0.1"], "10.0.0.1"),
        ("::1", "2001:db8::1", ["::1"], "2001:db8::1"),
        ("8.8.8.8", "1.1.1.1", ["10.0.0.0/8"], "8.8.8.8"),
        ("::ffff:127.0.0.1", "1.1.1.1", ["127.0.0.1"], "1.1.1.1"),
        ("::ffff:127.0.0.1", None, [], "127.0.0.1"),
        ("127.0.0.1", "1.1.1.1", ["::ffff:127.0.0.1"], "1.1.1.1"),
        ("127.0.0.1", "203.0.113.9:51322", ["127.0.0.1"], "203.0.113.9"),
        ("127.0.0.1", "[2001:DB8::1]:4711", ["127.0.0.1"], "2001:db8::1"),
        ("127.0.0.1", "::ffff:1.1.1.1, ::ffff:10.0.0.2", ["127.0.0.1", "10.0.0.0/8"], "1.1.1.1"),
        ("127.0.0.1", "1.1.1.1, 10.0.0.2:99", ["127.0.0.1", "10.0.0.0/8"], "1.1.1.1"),
        ("127.0.0.1", "1.1.1.1, ", ["127.0.0.1"], "1.1.1.1"),
        ("127.0.0.1", "unknown, 1.1.1.1, _hidden", ["127.0.0.1"], "127.0.0.1"),
        ("fe80::1%eth0", "1.1.1.1", ["fe80::/10"], "1.1.1.1"),
        ("fe80::1%eth0", None, [], "fe80::1"),
        ("127.0.0.1", "1.1.1.1" * 10_000, ["127.0.0.1"], "127.0.0.1"),
        ("127.0.0.1", "1.1.1.1" + ", 10.0.0.2" * 31, ["127.0.0.1", "10.0.0.0/8"], "1.1.1.1"),
        ("127.0.0.1", "1.1.1.1" + ", 10.0.0.2" * 1500, ["127.0.0.1", "10.0.0.0/8"], "10.0.0.2"),
        ("", "1.1.1.1", ["unix"], "1.1.1.1"),
        ("", "1.1.1.1", ["127.0.0.1"], "unix"),
    ],
)
def test_the_address_is_taken_from_a_trusted_proxy_only(peer, forwarded, trusted, address):
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert read(peer, headers, trusted).address == address


def test_lines_of_x_forwarded_for_are_one_list():
    lines = CIMultiDict([("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "1.1.1.1, 10.0.0.2")])
    assert read("10.0.0.1", lines, ["10.0.0.0/8"]).address == "1.1.1.1"


@pytest.mark.parametrize("proto", ["HTTPS", "https, http", "wss", " https", "https,"])
def test_the_first_proxy_tells_whether_tls_was_used(proto):
    assert read("10.0.0.1", {"X-Forwarded-Proto": proto}, ["10.0.0.1"]).secure


@pytest.mark.parametrize("proto", ["http", "http, https", "", "httpsx", "ws"])
def test_another_scheme_is_no_tls(proto):
    assert not read("10.0.0.1", {"X-Forwarded-Proto": proto}, ["10.0.0.1"]).secure


def test_cookie_lines_are_one_cookie_header():
    lines = CIMultiDict([("Cookie", "a=1"), ("Cookie", "token=x; b=2")])
    assert read("10.0.0.1", lines).headers["cookie"] == "a=1; token=x; b=2"


def test_the_use_of_tls_is_taken_from_a_trusted_proxy_only():
    headers = {"X-Forwarded-Proto": "https"}
    assert not read("10.0.0.1", headers).secure
    assert read("10.0.0.1", headers, ["10.0.0.1"]).secure


def test_some_headers_are_kept_in_lower_case_and_secrets_are_not_public():
    handshake = read("10.0.0.1", {"Cookie": "a=secret", "Origin": "https://x", "X-Other": "y"})
    assert dict(handshake.headers) == {"cookie": "a=secret", "origin": "https://x"}
    assert handshake.query["token"] == "secret"
    assert "secret" not in repr(handshake)
    assert "secret" not in str(handshake.public())
    assert handshake.public()["xdomain"] is True


async def test_headers_that_are_not_utf_8_can_be_sent_to_other_servers(serve):
    served = await serve()
    wire = await Wire.open(int(served.url.rpartition(":")[2]))
    opening = request("GET", POLLING, path="/socket.io/", User_Agent="caf\xe9 FF")
    assert (await wire.ask(opening.replace(b"FF", b"\xff"))).status == 200
    (connection,) = served.server.connections.values()
    assert connection.handshake.headers["user-agent"] == "caf\xe9 \ufffd"
    json.dumps(connection.handshake.public())
    await wire.close()


def test_a_query_of_very_many_fields_is_refused_as_it_would_be_kept():
    def with_fields(count):
        query = "&".join(f"field{at}=1" for at in range(count))
        return make_mocked_request("GET", f"/socket.io/?{query}", transport=Transport("10.0.0.1"))

    assert len(HandshakeReader().read(with_fields(MAX_QUERY_FIELDS)).query) == MAX_QUERY_FIELDS
    with pytest.raises(Refusal) as caught:
        HandshakeReader().read(with_fields(MAX_QUERY_FIELDS + 1))
    assert caught.value.code == BAD_REQUEST
