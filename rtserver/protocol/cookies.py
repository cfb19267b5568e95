"""Cookies of a request: reading one of them (RFC 6265, section 4.2). No I/O."""

from __future__ import annotations


def cookie_value(header: str, name: str) -> str | None:
    """Return the first cookie of that name in a `Cookie` header, without quotes.

    Not by `http.cookies`, which drops all cookies after the first invalid one.
    """
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key.strip() == name:
            return value.strip().strip('"')
    return None
