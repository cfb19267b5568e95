"""Which clients get a compressed response."""

from __future__ import annotations

import pytest

from rtserver.protocol.accept_encoding import accepts_gzip


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True), ("GZIP;q=0.5", True), ("br, *", True), ("*;q=0, gzip;q=1", True),
        ("", False), ("br", False), ("gzip;q=0", False), ("gzip; q=0.000", False), ("gzipped", False), (";;,,=", False),
    ],
)  # fmt: skip
def test_which_headers_accept_gzip(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
