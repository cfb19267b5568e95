"""The places of a token in a handshake, and their order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from rtserver.auth.authenticator import TokenAuthenticator
from rtserver.auth.issuer import issue
from rtserver.auth.keys import secret_keys
from rtserver.auth.verifier import TokenVerifier
from rtserver.errors import Refused
from rtserver.identity import Identity

SECRET = "the-only-secret-of-these-tests-0123456789"
ALICE = issue(SECRET, sub="alice")
BOB = issue(SECRET, sub="bob")
VERIFIER = TokenVerifier(secret_keys([SECRET]))


@dataclass
class Handshake:
    auth: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


async def user_of(handshake: Handshake, **options: Any) -> str | None:
    identity = await TokenAuthenticator(VERIFIER, **options).authenticate(handshake)
    return identity.user if identity else None


async def code_of(handshake: Handshake, **options: Any) -> str:
    with pytest.raises(Refused) as caught:
        await user_of(handshake, **options)
    return caught.value.code


@pytest.mark.parametrize("written", ["{}", "Bearer {}", "bearer  {}", " {} ", "BEARER {}\n"])
async def test_a_token_in_the_connect_payload(written: str) -> None:
    assert await user_of(Handshake(auth={"token": written.format(ALICE)})) == "alice"


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "Bearer   {} "])
async def test_a_token_in_the_authorization_header(header: str) -> None:
    assert await user_of(Handshake(headers={"authorization": header.format(ALICE)})) == "alice"


@pytest.mark.parametrize(
    "cookies", ["sid={}", 'a=b; sid="{}"; c', "=; ;;bad cookie[]=1; sid={}", "xsid=1;sid={};sid=2"]
)
async def test_a_token_in_the_configured_cookie(cookies: str) -> None:
    handshake = Handshake(headers={"cookie": cookies.format(ALICE)})
    assert await user_of(handshake, cookie_name="sid") == "alice"
    assert await user_of(handshake) is None


async def test_a_token_in_the_query_only_where_it_is_enabled() -> None:
    handshake = Handshake(query={"token": ALICE})
    assert await user_of(handshake) is None
    assert await user_of(handshake, allow_query=True) == "alice"


async def test_the_first_place_wins() -> None:
    handshake = Handshake({"token": ALICE}, {"authorization": f"Bearer {BOB}", "cookie": f"sid={BOB}"}, {"token": BOB})
    assert await user_of(handshake, cookie_name="sid", allow_query=True) == "alice"


async def test_an_invalid_token_is_not_replaced_by_another_place() -> None:
    assert await code_of(Handshake({"token": "bad"}, {"authorization": f"Bearer {BOB}"})) == "token_invalid"


@pytest.mark.parametrize(
    "handshake",
    [
        Handshake(), Handshake(auth={}), Handshake(auth={"token": None}), Handshake(auth={"token": ""}),
        Handshake(auth={"token": "Bearer "}), Handshake(auth={"Token": ALICE}), Handshake(headers={"cookie": "sid="}),
        Handshake(headers={"authorization": "Basic YTpi"}), Handshake(headers={"authorization": "Bearer "}),
        Handshake(headers={"authorization": ""}), Handshake(headers={"authorization": ALICE}),
    ],
)  # fmt: skip
async def test_no_token_differs_from_an_invalid_one(handshake: Handshake) -> None:
    assert await user_of(handshake, cookie_name="sid") is None


@pytest.mark.parametrize("token", [7, True, 0, False, ["x"], [], {}, {"x": ALICE}, 1.5, b"bytes"])
async def test_a_token_that_is_not_a_string_is_invalid(token: Any) -> None:
    assert await code_of(Handshake(auth={"token": token})) == "token_invalid"


async def test_a_connect_payload_that_is_no_object_has_no_token() -> None:
    assert await user_of(Handshake(auth=["token"])) is None  # type: ignore[arg-type]


async def test_a_revoked_identity_is_rejected() -> None:
    class Everybody:
        async def revoked(self, identity: Identity) -> bool:
            return identity.user == "alice"

    assert await code_of(Handshake({"token": ALICE}), revocations=Everybody()) == "token_revoked"
    assert await user_of(Handshake({"token": BOB}), revocations=Everybody()) == "bob"
