"""List headers in one line or several mean the same; cookies stay cookies."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from rtserver.protocol.header_lists import elements, joined, names_etag, tokens


def lines(name, *values):
    return CIMultiDict([(name, value) for value in values])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), []),
        (("",), []),
        (("keep-alive, Upgrade",), ["keep-alive", "upgrade"]),
        (("keep-alive", "Upgrade"), ["keep-alive", "upgrade"]),
        (("", "Upgrade"), ["upgrade"]),
        ((" a\t,, b ", "c"), ["a", "b", "c"]),
    ],
)
def test_the_lines_of_a_list_are_one_list(values, expected):
    assert tokens(lines("Connection", *values), "connection") == expected


def test_elements_keep_their_case():
    assert elements(lines("Sec-WebSocket-Protocol", "Chat", "b, C"), "sec-websocket-protocol") == ["Chat", "b", "C"]


def test_cookie_lines_are_joined_as_cookies_are():
    assert joined(lines("Cookie", "a=1; b=2", "token=x"), "cookie") == "a=1; b=2; token=x"
    assert joined(lines("cookie", "a=1", "token=x"), "Cookie") == "a=1; token=x"


@pytest.mark.parametrize("values", [('"x", "abc"',), ('"x"', '"abc"'), ('"x"', 'W/"abc"'), ("*",), ('""', '"abc"')])
def test_if_none_match_finds_the_tag_in_any_line(values):
    assert names_etag(lines("If-None-Match", *values), "abc")


@pytest.mark.parametrize("values", [(), ("abc",), ('"abcd"',), ('"ab', 'c"'), ('w/"abc"',)])
def test_if_none_match_finds_no_other_tag(values):
    assert not names_etag(lines("If-None-Match", *values), "abc")
