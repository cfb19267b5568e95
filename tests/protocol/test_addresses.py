"""Addresses of peers and proxies have one form, however a socket or a proxy writes them."""

from __future__ import annotations

import pytest

from rtserver.protocol.addresses import TrustedPeers, normal_address, normal_peer, trusted_peer


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9\t", "203.0.113.9"),
        ("203.0.113.9:51322", "203.0.113.9"),
        ("203.0.113.9:0", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::FFFF:CB00:7109", "203.0.113.9"),
        ("0:0:0:0:0:ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:443", "203.0.113.9"),
        ("::ffff:203.0.113.9%eth0", "203.0.113.9"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ('"[2001:db8::1]:4711"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("::1", "::1"),
    ],
)
def test_an_address_has_one_form(text, normal):
    assert normal_address(text) == normal
    assert normal_address(normal) == normal
    assert normal_peer(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "unknown", "_hidden", "localhost", "garbage", "203.0.113", "203.0.113.999", "203.0.113.9:", ":80",
        "203.0.113.9:http", "203.0.113.9:123456", "203.0.113.9:80:80", "2001:db8::1]:80", "[2001:db8::1", "[]:80", "[]",
        "[203.0.113.9", "2001:db8::1::2", "1" * 10_000, "%eth0", "203.0.113.09", "٢٠٣.0.113.9", "203.0.113.9:٨٠",
        "203.0.113.9 203.0.113.9", "[[::1]]",
    ],
)  # fmt: skip
def test_anything_else_is_no_address(text):
    assert normal_address(text) is None


def test_the_peer_of_a_unix_socket_is_called_unix():
    assert normal_peer("") == "unix"
    assert normal_peer("/run/client.sock") == "unix"
    assert normal_peer(None) == ""


@pytest.mark.parametrize(
    ("peers", "trusted", "others"),
    [
        (["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2", "::1", "unix", ""]),
        (["::ffff:10.0.0.1"], ["10.0.0.1"], ["10.0.0.2"]),
        (["::ffff:10.0.0.0/104"], ["10.0.0.1", "10.255.0.1"], ["11.0.0.1", "::1"]),
        (["10.0.0.0/8", "2001:db8::/32"], ["10.1.2.3", "2001:db8::5"], ["2001:db9::5", "unix"]),
        (["unix"], ["unix"], ["127.0.0.1", ""]),
        (["UNIX", "::1"], ["unix", "::1"], ["127.0.0.1"]),
        ([], [], ["127.0.0.1", "unix", ""]),
    ],
)
def test_proxies_are_trusted_by_their_normal_form(peers, trusted, others):
    proxies = TrustedPeers(peers)
    assert all(proxies.trusts(address) for address in trusted)
    assert not any(proxies.trusts(address) for address in others)


@pytest.mark.parametrize("text", ["", "proxy", "10.0.0.0/33", "/run/proxy.sock", "unix:/run/x"])
def test_what_cannot_be_trusted_is_rejected(text):
    with pytest.raises(ValueError, match=r".*"):
        trusted_peer(text)
