"""rtserver.http.api.content_encoding.py: what is inflated, and that no more than the limit is."""

from __future__ import annotations

import gzip
import random
import zlib
from contextlib import suppress

import pytest

from rtserver.http.api.content_encoding import EncodingError, Inflater

CONTENT = random.Random(1951).randbytes(20_000) + b"a" * 20_000
ENCODED = {
    "gzip": ("gzip", gzip.compress(CONTENT, mtime=0)),
    "zlib": ("deflate", zlib.compress(CONTENT)),
    "bare": ("deflate", zlib.compress(CONTENT, wbits=-15)),
}


def inflated(encoding, data, limit=100_000, step=10**9):
    inflater = Inflater(encoding, limit)
    content = b"".join(inflater.feed(data[at : at + step]) for at in range(0, len(data), step))
    inflater.finish()
    return content


@pytest.mark.parametrize("case", ENCODED)
@pytest.mark.parametrize("step", [1, 7, 5000, 10**9])
def test_a_body_is_inflated_in_whatever_pieces_it_arrives(case, step):
    assert inflated(*ENCODED[case], step=step) == CONTENT


@pytest.mark.parametrize("case", ENCODED)
@pytest.mark.parametrize("room", [0, 1, 20_000, 40_000])
def test_content_at_the_limit_is_whole(case, room):
    encoding, _ = ENCODED[case]
    content = CONTENT[:room]
    packed = {
        "gzip": gzip.compress(content, mtime=0),
        "zlib": zlib.compress(content),
        "bare": zlib.compress(content, wbits=-15),
    }
    assert inflated(encoding, packed[case], limit=room) == content


@pytest.mark.parametrize("step", [1000, 10**9])
def test_one_byte_beyond_the_limit_is_all_that_a_bomb_yields(step):
    bomb = gzip.compress(b"\0" * 50_000_000, mtime=0)
    inflater = Inflater("gzip", 1000)
    sizes = [len(inflater.feed(bomb[at : at + step])) for at in range(0, len(bomb), step)]
    assert sum(sizes) == 1001


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", b""), ("gzip", b"not gzip"), ("gzip", gzip.compress(CONTENT, mtime=0)[:-1]),
        ("gzip", zlib.compress(CONTENT)),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"{}"), ("gzip", gzip.compress(b"", mtime=0) * 2),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"\0"), ("gzip", gzip.compress(CONTENT, mtime=0)[:-8] + bytes(8)),
        ("deflate", b""), ("deflate", b"\x08"),
        ("deflate", b"\xff\xff\xff"), ("deflate", zlib.compress(CONTENT)[:-1]),
        ("deflate", gzip.compress(CONTENT, mtime=0)),
        ("deflate", zlib.compress(b"{}") + b"{}"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("step", [1, 10**9])
def test_what_is_no_single_whole_stream_is_refused(encoding, data, step):
    with pytest.raises(EncodingError):
        inflated(encoding, data, step=step)


def test_garbage_is_refused_without_another_error():
    source = random.Random(1950)
    for _ in range(2000):
        data = bytearray(gzip.compress(CONTENT[:300], mtime=0))
        for _ in range(source.randint(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        with suppress(EncodingError):
            assert len(inflated("gzip", bytes(data), limit=1000)) <= 1001
