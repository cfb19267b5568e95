"""Signed tokens: what PyJWT signs is accepted, what it rejects is rejected, and each token has one form."""

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtserver.auth.tokens import TokenError, WrongSignature, claims_of, sign, split

SECRET = "the-only-secret-of-these-tests-0123456789-and-long-enough-for-HS512-too"
HASHES = ["HS256", "HS384", "HS512"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def with_header(**header: Any) -> str:
    """A token that is signed rightly, with this header."""
    return jwt.encode({"sub": "alice"}, SECRET, headers=header)


def rejected(token: str, algorithm: str = "HS256") -> str:
    with pytest.raises(TokenError) as caught:
        claims_of(token, SECRET.encode(), algorithm)
    return str(caught.value)


@pytest.mark.parametrize("algorithm", HASHES)
@settings(max_examples=25, deadline=None)
@given(claims=st.dictionaries(st.text(), VALUES))
def test_each_reads_what_the_other_signs(algorithm: str, claims: dict[str, Any]) -> None:
    claims = {"sub": "alice"} | {name: value for name, value in claims.items() if len(name) != 3}
    unchecked = {
        "verify_aud": False,
        "verify_iat": False,
        "verify_exp": False,
        "verify_nbf": False,
        "verify_sub": False,
    }
    ours = sign(claims, SECRET, algorithm)
    assert jwt.decode(ours, SECRET, algorithms=[algorithm], options=unchecked) == claims  # type: ignore[arg-type]
    assert claims_of(jwt.encode(claims, SECRET, algorithm=algorithm), SECRET.encode(), algorithm) == claims


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200).map(lambda data: data.decode("latin-1")) | st.text(max_size=200))
def test_any_text_is_rejected_in_words_that_do_not_repeat_it(text: str) -> None:
    for token in (
        text,
        f"{text}.{text}.{text}",
        f"{with_header()}{text}x",
        f"{encoded(text.encode(errors='replace'))}.e30.x",
    ):
        with pytest.raises(TokenError):
            claims_of(token, SECRET.encode(), "HS256")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.characters())
def test_a_token_with_one_other_character_is_rejected(at: int, character: str) -> None:
    token = with_header()
    changed = token[: at % len(token)] + character + token[at % len(token) + 1 :]
    if changed != token:
        rejected(changed)


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"]}, {"crit": []}, {"crit": None}, {"b64": False}, {"kid": 7}, {"kid": None}]
)
def test_a_header_that_says_more_than_we_know_is_rejected(header: dict[str, Any]) -> None:
    signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256"} | header, {"sub": "alice"}))
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signed.encode(), SECRET.encode())
    rejected(f"{signed}.{encoded(signature)}")


@pytest.mark.parametrize(
    "change", [lambda t: t + "=", lambda t: t.replace(".", "=.", 1), lambda t: t + "\n", lambda t: " " + t]
)
def test_padding_and_space_are_rejected(change: Any) -> None:
    rejected(change(with_header()))


def test_bits_that_say_nothing_are_rejected() -> None:
    """The last character of a signature of 32 bytes has two bits left over."""
    token = with_header()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    accepted = [last for last in alphabet if _accepts(token[:-1] + last)]
    assert accepted == [token[-1]]


def _accepts(token: str) -> bool:
    try:
        return claims_of(token, SECRET.encode(), "HS256") == {"sub": "alice"}
    except TokenError:
        return False


def test_a_wrong_key_is_told_from_a_broken_token() -> None:
    with pytest.raises(WrongSignature):
        claims_of(with_header(), b"another", "HS256")
    assert "algorithm" in rejected(with_header(), "HS512")
    assert split(with_header()).header["alg"] == "HS256"
