"""What `rtserver token` puts into a token."""

import jwt

from rtserver.auth.issuer import issue

SECRET = "the-only-secret-of-these-tests-0123456789"


def read(token: str) -> dict[str, object]:
    return jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_aud": False})


def test_a_token_lives_as_long_as_was_asked() -> None:
    claims = read(issue(SECRET, sub="alice", ttl=90))
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 90


def test_every_token_has_an_id_of_its_own_by_which_it_can_be_revoked() -> None:
    assert read(issue(SECRET, sub="alice"))["jti"] != read(issue(SECRET, sub="alice"))["jti"]


def test_what_was_not_asked_for_is_not_in_it() -> None:
    assert read(issue(SECRET, sub="alice")).keys() == {"sub", "jti", "iat", "exp"}


def test_the_server_that_made_it_accepts_its_audience_and_issuer() -> None:
    claims = read(issue(SECRET, sub="alice", audience=["a", "b"], issuer=["x", "y"]))
    assert (claims["aud"], claims["iss"]) == (["a", "b"], "x")


def test_other_claims_go_in_as_they_are() -> None:
    assert read(issue(SECRET, sub="alice", tenant=7))["tenant"] == 7
