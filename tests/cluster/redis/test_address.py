"""rtserver/cluster/redis/address.py: every form of a Redis address, and the messages for invalid ones."""

import re
from pathlib import Path

import pytest

from rtserver.cluster.redis.address import parse_redis_url

SECRET = "hush-hush"


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "shown"),
    [
        ("redis://h", "single", (("h", 6379),), "redis://h:6379/0"),
        ("valkey://h:1/2", "single", (("h", 1),), "redis://h:1/2"),
        ("rediss://[::1]:6380", "single", (("::1", 6380),), "rediss://[::1]:6380/0"),
        ("valkeys://h", "single", (("h", 6379),), "rediss://h:6379/0"),
        ("unix:///run/r.sock?db=3", "unix", (), "unix:///run/r.sock"),
        ("redis+unix:///run/r.sock", "unix", (), "unix:///run/r.sock"),
        ("valkey+unix:///run/r.sock", "unix", (), "unix:///run/r.sock"),
        ("redis+sentinel://a,b:7/m/4", "sentinel", (("a", 26379), ("b", 7)), "redis+sentinel://a:26379,b:7/m/4"),
        ("valkey+sentinel://a/m", "sentinel", (("a", 26379),), "redis+sentinel://a:26379/m/0"),
        ("rediss+sentinel://a/m", "sentinel", (("a", 26379),), "rediss+sentinel://a:26379/m/0"),
        ("redis+cluster://a:1,b:2", "cluster", (("a", 1), ("b", 2)), "redis+cluster://a:1,b:2"),
        ("valkeys+cluster://a/0", "cluster", (("a", 6379),), "rediss+cluster://a:6379"),
    ],
)
def test_every_kind_of_address(url: str, kind: str, hosts: tuple[tuple[str, int], ...], shown: str) -> None:
    address = parse_redis_url(url)
    assert (address.kind, address.hosts, address.shown) == (kind, hosts, shown)


@pytest.mark.parametrize(
    ("written", "password"),
    [("p%40ss%2Fw%3A%23%3F%25", "p@ss/w:#?%"), ("a@b:c", "a@b:c"), ("%C3%A4%20+%2B", "ä ++"), ("100%25", "100%")],
)
@pytest.mark.parametrize("where", ["redis://u:{}@h/1", "unix://u:{}@/run/r.sock", "redis+sentinel://u:{}@a:1,b/m"])
def test_a_password_may_contain_any_character(where: str, written: str, password: str) -> None:
    assert parse_redis_url(where.format(written)).login == {"username": "u", "password": password}


def test_options_are_parsed() -> None:
    address = parse_redis_url("redis+sentinel://u:p@a/m?sentinel_username=su&sentinel_password=s%26p&db=2")
    assert address.sentinel_login == {"username": "su", "password": "s&p"}
    assert (address.login, address.db) == ({"username": "u", "password": "p"}, 2)
    own = Path(__file__)
    address = parse_redis_url(f"rediss://h/?ssl_ca_certs={own}&ssl_check_hostname=no&ssl_cert_reqs=none")
    assert address.tls == {"ssl_ca_certs": str(own), "ssl_check_hostname": False, "ssl_cert_reqs": "none"}


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379", "http://:{}@h", "redis://", "redis://:{}@", "redis://:{}@/0", "redis://h/x", "redis://:{}@h/{}",
        "redis://:{}/x@h", "redis://:{}?x@h", "redis://:{}#x@h", "redis://:{}@h:port", "redis://h:{}", "redis://h:0",
        "redis://:{}@h:65536", "redis://:{}@[::1", "redis://[{}", "redis://:{} x@h", " redis://:{}@h", "redis://:{}@a,b",
        "redis://:{}@h?{}=1", "redis://h?protocol=3", "redis://h?socket_timeout=1", "redis://:{}@h?db={}",
        "redis://h?ssl_ca_certs=/x", "rediss://h?ssl_ca_certs=/no/such/{}", "rediss://h?ssl_cert_reqs={}", "unix://",
        "rediss+unix:///x", "unix://h/x", "unix://:{}@h/x", "redis+sentinel://:{}@a:1", "redis+sentinel://a/m/{}",
        "redis+sentinel://a//0", "redis+cluster://:{}@a/1", "redis+cluster://a,,b", "memory://", "redis+x://:{}@h", "",
    ],
)  # fmt: skip
def test_an_invalid_address_is_rejected_with_a_message_that_contains_none_of_it(url: str) -> None:
    with pytest.raises(ValueError, match=re.compile("^(it|its|the|after|a) [^\n]+$")) as caught:
        parse_redis_url(url.replace("{}", SECRET))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_address_shows_no_password_when_it_is_printed() -> None:
    address = parse_redis_url(f"redis+sentinel://{SECRET}:{SECRET}@a/m?sentinel_password={SECRET}")
    assert SECRET not in repr(address) + address.shown
