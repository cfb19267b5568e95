"""rtserver/protocol/origins.py: the normal form of an origin, and which origins are a server's own."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from rtserver.protocol.origins import MAX_LENGTH, Origin, Requested, is_at, is_own, of_url, parse, parse_setting

NORMAL_FORMS = [
    # As browsers send them: unchanged.
    ("https://rt.example.com", "https://rt.example.com"), ("http://rt.example.com:8080", "http://rt.example.com:8080"),
    ("http://localhost", "http://localhost"), ("http://localhost:5173", "http://localhost:5173"),
    ("http://127.0.0.1:8000", "http://127.0.0.1:8000"), ("http://[::1]:8000", "http://[::1]:8000"),
    ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"), ("http://my_host", "http://my_host"),
    ("https://1.example", "https://1.example"), ("https://3com", "https://3com"), ("https://a-b.c", "https://a-b.c"),
    # Upper case.
    ("HTTPS://RT.Example.COM", "https://rt.example.com"), ("Http://LOCALHOST:80", "http://localhost"),
    ("https://XN--BCHER-KVA.example", "https://xn--bcher-kva.example"), ("NULL", "null"),
    # The schemes of WebSocket.
    ("ws://rt.example.com", "http://rt.example.com"), ("wss://rt.example.com", "https://rt.example.com"),
    ("WSS://rt.example.com:443", "https://rt.example.com"), ("ws://rt.example.com:80", "http://rt.example.com"),
    ("ws://rt.example.com:443", "http://rt.example.com:443"), ("wss://h:8443", "https://h:8443"),
    # Ports.
    ("http://rt.example.com:80", "http://rt.example.com"), ("https://rt.example.com:443", "https://rt.example.com"),
    ("https://rt.example.com:80", "https://rt.example.com:80"), ("http://h:443", "http://h:443"),
    ("https://h:0443", "https://h"), ("http://h:08080", "http://h:8080"), ("http://h:65535", "http://h:65535"),
    # A slash at the end.
    ("https://rt.example.com/", "https://rt.example.com"), ("http://h:80/", "http://h"), ("http://h:81/", "http://h:81"),
    # IPv6.
    ("http://[::1]:80", "http://[::1]"), ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
    ("https://[2001:DB8::00:1]:443", "https://[2001:db8::1]"), ("http://[2001:0db8:0:0:1:0:0:1]/", "http://[2001:db8::1:0:0:1]"),
    # A name with a dot at its end is another name.
    ("https://rt.example.com.", "https://rt.example.com."),
    # Pages of files and apps.
    ("null", "null"), ("file://", "file://"), ("FILE:///", "file://"), ("capacitor://localhost", "capacitor://localhost"),
    ("ionic://localhost", "ionic://localhost"), ("Ionic://LocalHost/", "ionic://localhost"), ("app://.", "app://."),
    ("tauri://localhost", "tauri://localhost"), ("vscode-file://vscode-app", "vscode-file://vscode-app"),
    ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"),
    ("moz-extension://0f9a-42", "moz-extension://0f9a-42"), ("app://h:80", "app://h:80"), ("a+b.c-1://x", "a+b.c-1://x"),
]  # fmt: skip

NO_ORIGINS = [
    "", " ", "*", "https", "https:", "https:/", "https://", "https:///", "http:///x", "//rt.example.com",
    "rt.example.com",
    "rt.example.com:443", ":443", "https:rt.example.com", "https:/rt.example.com", "1http://h", "-x://h", "://h",
    # User names, paths, queries, fragments.
    "https://rt.example.com@evil.example", "https://evil.example@rt.example.com", "https://a:b@rt.example.com",
    "https://@rt.example.com", "https://rt.example.com/x", "https://rt.example.com//", "https://rt.example.com?x",
    "https://rt.example.com/?", "https://rt.example.com#", "file:///etc/passwd", "file:////", "null/", "null://", "null://h",

    # Backslashes, escapes, spaces, control characters, line breaks.
    "https:\\\\rt.example.com", "https://rt.example.com\\", "https://evil.example\\@rt.example.com", "https://rt%2eexample.com",
    "https://rt.example.com%00", "https://rt.example.com\0", "https://rt.example.com\n", "\nhttps://rt.example.com",
    " https://rt.example.com", "https://rt.example.com ", "https://rt .example.com", "https://rt.example.com\t",
    "null\n",
    # Lists and patterns.
    "https://rt.example.com, https://evil.example", "https://rt.example.com,https://evil.example", "https://*.example.com",
    "https://rt.example.com https://evil.example", "null, null", "https://rt.example.com|evil", "https://(a|b)",
    # Names and addresses that no browser sends.
    "https://rt..example.com", "https://.example.com", "https://.", "https://..", "http://127.1", "http://2130706433",
    "http://0x7f.0.0.1", "http://0x7f000001", "http://0177.0.0.1", "http://127.0.0.1.", "http://256.0.0.1", "http://1.2.3.4.5",
    "http://[::1", "http://::1", "http://[]", "http://[:::1]", "http://[::1%25eth0]", "http://[127.0.0.1]", "http://[::1]x",
    "http://x[::1]", "http://[::1]:", "http://[1:2:3:4:5:6:7:8:9]", "http://[fe80::1%eth0]",
    # Ports.
    "http://h:", "http://h:65536", "http://h:99999", "http://h:000080", "http://h:-1", "http://h:+80", "http://h:8o", "http://h:80:80",
    "http://h:٨٠", "app://h:70000",
    # Letters that look like others, or become others in lower case or by compatibility.
    "https://rt.ex\u0430mple.com", "https://rt\u3002example.com", "https://\uff52\uff54.example.com", "\u212aapp://h", "http\u017f://h",
    "https://\u0130.example", "app://\u212a", "https://rt.example.com\u200b", "\ufeffhttps://rt.example.com",
    # Too long.
    f"https://{'a' * MAX_LENGTH}", f"{'a' * MAX_LENGTH}://h", "https://" + "a." * 10_000,
]  # fmt: skip


@pytest.mark.parametrize(("text", "normal"), NORMAL_FORMS)
def test_an_origin_has_one_normal_form(text: str, normal: str) -> None:
    origin = parse(text)
    assert origin is not None
    assert str(origin) == normal
    assert parse(str(origin)) == parse_setting(f" {text} ") == origin


@pytest.mark.parametrize("text", NO_ORIGINS)
def test_what_is_no_origin_has_no_normal_form(text: str) -> None:
    assert parse(text) is None


def test_different_origins_are_never_equal() -> None:
    origins = [str(parse(text)) for text, _ in NORMAL_FORMS]
    assert len({parse(text) for text in origins}) == len(set(origins))


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("https://Bücher.example", "https://xn--bcher-kva.example"), ("https://straße.de:443/", "https://xn--strae-oqa.de"),
        ("http://bücher.example:8080", "http://xn--bcher-kva.example:8080"), ("https://💩.la", "https://xn--ls8h.la"),
        ("https://\uff52\uff54.example.com", "https://rt.example.com"), ("wss://rt\u3002example.com", "https://rt.example.com"),
        ("https://rt.ex\u0430mple.com", "https://xn--rt-7kc.xn--exmple-cua.com"),
    ],
)  # fmt: skip
def test_a_name_beyond_ascii_is_configured_as_browsers_send_it(text: str, sent: str) -> None:
    origin = parse_setting(text)
    assert origin is not None
    if "\u0430" in text:  # Cyrillic: another name, whatever it looks like
        assert str(origin).startswith("https://rt.xn--")
        assert origin != parse("https://rt.example.com")
    else:
        assert origin == parse(sent)
        assert str(origin) == sent


@pytest.mark.parametrize("text", ["https://bü@cher.example", "https://bü cher.example", "https://bücher.example/x", "ſ://h", "bücher", "https://ü:x"])  # fmt: skip  # noqa: E501
def test_other_texts_beyond_ascii_cannot_be_configured(text: str) -> None:
    assert parse_setting(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost", "https://localhost", "http://localhost:5173", "http://app.localhost:3000", "ws://LOCALHOST:1",
        "http://a.b.localhost", "http://127.0.0.1", "http://127.0.0.1:5173", "http://127.255.255.254", "http://[::1]:5173",
        "http://[0:0::1]",
    ],
)  # fmt: skip
def test_pages_of_the_visitors_machine_are_loopback(text: str) -> None:
    origin = parse(text)
    assert origin is not None
    assert origin.is_loopback


@pytest.mark.parametrize(
    "text",
    [
        "null", "file://", "capacitor://localhost", "ionic://127.0.0.1", "chrome-extension://localhost",
        "http://localhost.evil.example", "http://evillocalhost", "http://localhost.", "http://127.0.0.1.nip.io",
        "http://127.evil.example", "http://127-0-0-1.example", "http://128.0.0.1", "http://0.0.0.0", "http://10.127.0.1",
        "http://192.168.1.5:5173", "http://[::2]", "http://[::]", "http://[fe80::1]", "http://localhost-evil",
    ],
)  # fmt: skip
def test_other_pages_are_not_loopback(text: str) -> None:
    origin = parse(text)
    assert origin is not None
    assert not origin.is_loopback


OWN = [
    # (Origin, scheme of the request, Host, X-Forwarded-…)
    ("https://rt.example.com", "https", "rt.example.com", {}),
    ("http://rt.example.com:8000", "http", "rt.example.com:8000", {}),
    ("https://rt.example.com", "https", "rt.example.com:443", {}),
    ("https://rt.example.com:443", "https", "rt.example.com", {}),
    ("wss://rt.example.com", "http", "rt.example.com:443", {}),
    ("ws://rt.example.com", "http", "rt.example.com:80", {}),
    ("WSS://RT.EXAMPLE.COM/", "https", "rt.example.com", {}),
    ("https://rt.example.com", "https", "RT.Example.com", {}),
    ("http://[::1]:8000", "http", "[0:0::1]:8000", {}),
    # A proxy has decrypted the request, and says so, or does not.
    ("https://rt.example.com", "http", "rt.example.com", {"Proto": "https"}),
    ("https://rt.example.com", "http", "rt.example.com", {"Proto": "HTTPS"}),
    ("https://rt.example.com", "http", "rt.example.com", {"Proto": "wss"}),
    ("https://rt.example.com", "http", "rt.example.com", {"Proto": " https , http"}),
    ("https://rt.example.com", "http", "rt.example.com", {"Proto": "http"}),
    ("https://rt.example.com", "http", "rt.example.com", {}),
    ("https://rt.example.com:8443", "http", "rt.example.com:8443", {}),
    # The proxy asks under another host.
    ("https://rt.example.com", "http", "127.0.0.1:8000", {"Proto": "https", "Host": "rt.example.com"}),
    ("https://rt.example.com", "http", "backend", {"Proto": "https", "Host": "RT.example.com:443, inner"}),
    ("https://rt.example.com:8443", "http", "backend", {"Proto": "https", "Host": "rt.example.com:8443"}),
    ("https://rt.example.com:8443", "http", "backend", {"Proto": "https", "Host": "rt.example.com", "Port": "8443"}),
    ("https://rt.example.com:8443", "http", "rt.example.com:8000", {"Proto": "https", "Port": "8443"}),
    ("https://rt.example.com", "http", "rt.example.com:8000", {"Proto": "https", "Port": "443"}),
    # The port was lost, or is that of an inner proxy.
    ("http://rt.example.com:8000", "http", "rt.example.com", {}),
    ("https://rt.example.com:8443", "http", "rt.example.com", {"Proto": "https"}),
    ("https://rt.example.com", "http", "rt.example.com:80", {"Proto": "https"}),
    # Headers that say nothing.
    ("http://rt.example.com", "http", "rt.example.com", {"Proto": "", "Host": "", "Port": ""}),
    ("http://rt.example.com", "http", "rt.example.com", {"Proto": "gopher", "Host": "a@b", "Port": "x"}),
]  # fmt: skip

FOREIGN = [
    ("https://rt.example.com.evil", "https", "rt.example.com", {}),
    ("https://evil.example", "https", "rt.example.com", {}),
    ("https://x.rt.example.com", "https", "rt.example.com", {}),
    ("https://example.com", "https", "rt.example.com", {}),
    ("https://xrt.example.com", "https", "rt.example.com", {}),
    ("https://rt.example.com.", "https", "rt.example.com", {}),
    ("https://rt.example.com:8443", "https", "rt.example.com:443", {}),
    ("http://rt.example.com:8001", "http", "rt.example.com:8000", {}),
    ("http://rt.example.com", "http", "rt.example.com:8000", {}),
    ("http://rt.example.com", "http", "rt.example.com:8000", {"Port": "8080"}),
    # What came by https is not for pages that came by http.
    ("http://rt.example.com", "https", "rt.example.com", {}),
    ("http://rt.example.com", "http", "rt.example.com", {"Proto": "https"}),
    ("http://rt.example.com", "http", "rt.example.com", {"Proto": "HTTPS, http"}),
    ("http://rt.example.com:443", "http", "rt.example.com:443", {}),
    ("http://rt.example.com", "http", "backend", {"Host": "rt.example.com:443"}),
    # The first element is the client's.
    ("https://evil.example", "http", "backend", {"Host": "rt.example.com, evil.example"}),
    ("null", "http", "null", {}), ("file://", "http", "file", {}),
    ("app://rt.example.com", "http", "rt.example.com", {}),
    ("https://rt.example.com", "https", "rt.example.com@evil.example", {}),
    ("https://rt.example.com", "https", "rt.example.com/x", {}),
    ("https://rt.example.com", "https", "rt.example.com:443:443", {}),
    ("https://rt.example.com", "https", "", {}), ("https://rt.example.com", "https", "a" * 10_000, {}),
    ("https://rt.example.com", "https", "rt.ex\u0430mple.com", {}), ("https://localhost", "https", "127.0.0.1", {}),
]  # fmt: skip


def own(text: str, scheme: str, host: str, forwarded: dict[str, str], **rest: Any) -> bool:
    """`forwarded`: X-Forwarded-…, by default of a trusted proxy."""
    headers = CIMultiDict({f"x-forwarded-{name}": value for name, value in forwarded.items()})
    return asked(text, host, headers, **{"scheme": scheme, "trusted": True, **rest})


def asked(text: str, host: str, headers: dict[str, str] | CIMultiDict[str], scheme: str = "http", **rest: Any) -> bool:
    origin = parse(text)
    assert origin is not None
    return is_own(origin, Requested(scheme, host, CIMultiDict(headers), **rest))


@pytest.mark.parametrize(("text", "scheme", "host", "forwarded"), OWN)
def test_pages_of_the_requested_host_are_the_servers_own(
    text: str, scheme: str, host: str, forwarded: dict[str, str]
) -> None:
    assert own(text, scheme, host, forwarded)


@pytest.mark.parametrize(("text", "scheme", "host", "forwarded"), FOREIGN)
def test_all_other_pages_are_foreign(text: str, scheme: str, host: str, forwarded: dict[str, str]) -> None:
    assert not own(text, scheme, host, forwarded)


@pytest.mark.parametrize(
    ("text", "host", "forwarded"),
    [
        ("https://evil.example", "rt.example.com", {"Host": "evil.example"}),
        ("https://evil.example", "rt.example.com", {"Host": "evil.example", "Proto": "https"}),
        ("https://rt.example.com:8443", "rt.example.com:8000", {"Port": "8443"}),
        ("https://rt.example.com:8443", "backend", {"Host": "rt.example.com", "Port": "8443"}),
    ],
)
def test_of_other_host_and_port_only_a_trusted_proxy_may_tell(text: str, host: str, forwarded: dict[str, str]) -> None:
    assert own(text, "http", host, forwarded)
    assert not own(text, "http", host, forwarded, trusted=False)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Proto": "https"}, {"X-Forwarded-Proto": "WSS"}, {"X-Forwarded-Proto": "http, https"},
        {"X-Forwarded-Ssl": "on"}, {"Front-End-Https": "On"}, {"X-Forwarded-Scheme": "https"}, {"X-Scheme": "https"},
        {"Forwarded": "for=192.0.2.1;proto=https"}, {"Forwarded": 'For=1; Proto="https"'}, {"X-Forwarded-Port": "443"},
        {"CF-Visitor": '{"scheme":"https"}'}, {"CloudFront-Forwarded-Proto": "https"}, {"X-Url-Scheme": "https"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
        {"X-Forwarded-Proto": "http", "X-Forwarded-Ssl": "on"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("trusted", [True, False])
def test_a_sign_of_tls_counts_whoever_gives_it(headers: dict[str, str], trusted: bool) -> None:
    """A page of http, which anybody on the way can have written, is not that of a server of https."""
    host = "rt.example.com"
    assert not asked("http://rt.example.com", host, headers, trusted=trusted)
    assert asked("https://rt.example.com", host, headers, trusted=trusted)


def test_that_there_is_no_tls_is_believed_from_a_trusted_proxy_only() -> None:
    plain = {"X-Forwarded-Proto": "http"}
    assert not asked("http://rt.example.com", "rt.example.com", plain, scheme="https")
    for page, host in (("http://rt.example.com", "rt.example.com"), ("http://rt.example.com:9", "rt.example.com:9")):
        assert not asked(page, host, {}, strict=True, port=8000)
        assert not asked(page, host, plain, strict=True, port=8000)
        assert not asked(page, host, {}, strict=True, trusted=True)
        assert asked(page, host, plain, strict=True, trusted=True)
        assert asked(page, host, {}, port=8000)
        assert asked(page.replace("http", "https"), host, {}, strict=True)


def test_a_page_that_names_the_port_of_the_server_came_without_a_proxy() -> None:
    assert asked("http://rt.example.com:8000", "rt.example.com:8000", {}, strict=True, port=8000)
    assert asked("http://rt.example.com", "rt.example.com", {}, strict=True, port=80)
    assert not asked("http://rt.example.com:8000", "rt.example.com:8000", {"Forwarded": "proto=https"}, port=8000)


def test_a_page_of_the_visitors_machine_may_be_of_http() -> None:
    """Through an SSH tunnel, for example."""
    assert asked("http://localhost:9000", "localhost:9000", {}, strict=True, port=8000)
    assert asked("http://localhost:9000", "localhost:9000", {"Sec-Fetch-Site": "same-origin"}, strict=True, port=8000)
    assert not asked("http://localhost:9000", "localhost:9000", {"Sec-Fetch-Site": "same-site"}, port=9000)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.example.com/a?b#c", "https://app.example.com"), ("http://a.example:81", "http://a.example:81"),
        ("https://app.example.com?x", "https://app.example.com"), ("HTTPS://APP.example.com/", "https://app.example.com"),
        ("", None), ("/path", None), ("https:///x", None), ("about:blank", None), ("https://a@b.example/", None),
        ("https://app.example.com\\@evil.example/", None), ("x" * 100_000, None),
    ],
)  # fmt: skip
def test_the_origin_of_a_referring_page(url: str, origin: str | None) -> None:
    found = of_url(url)
    assert (None if found is None else str(found)) == origin


@pytest.mark.parametrize(
    ("text", "host", "expected"),
    [
        ("http://localhost:8000", "localhost:8000", True), ("http://LOCALHOST:8000/", "localhost:8000", True),
        ("http://localhost", "localhost:80", True), ("https://localhost:443", "localhost", True),
        ("https://localhost:8000", "localhost:8000", True), ("http://localhost:3000", "localhost", False),
        ("http://localhost:3000", "localhost:8000", False), ("http://127.0.0.1:8000", "localhost:8000", False),
        ("app://localhost", "localhost", False), ("null", "null", False), ("http://localhost", "a@localhost", False),
    ],
)  # fmt: skip
def test_a_page_is_of_exactly_one_host_and_port(text: str, host: str, expected: bool) -> None:
    assert is_at(parse(text) or Origin("null"), host) is expected
