"""Tokens issued by `rtserver token`."""

import jwt

from rtserver.auth.issuer import issue

SECRET = "the-only-secret-of-these-tests-0123456789"


def read(token: str) -> dict[str, object]:
    return jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_aud": False})


def test_a_token_is_valid_for_the_requested_time() -> None:
    claims = read(issue(SECRET, sub="alice", ttl=90))
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 90


def test_every_token_has_its_own_id() -> None:
    assert read(issue(SECRET, sub="alice"))["jti"] != read(issue(SECRET, sub="alice"))["jti"]


def test_claims_that_were_not_given_are_absent() -> None:
    assert read(issue(SECRET, sub="alice")).keys() == {"sub", "jti", "iat", "exp"}


def test_the_issuing_server_accepts_its_audience_and_issuer() -> None:
    claims = read(issue(SECRET, sub="alice", audience=["a", "b"], issuer=["x", "y"]))
    assert (claims["aud"], claims["iss"]) == (["a", "b"], "x")


def test_other_claims_are_added_unchanged() -> None:
    assert read(issue(SECRET, sub="alice", tenant=7))["tenant"] == 7
