"""Bearer tokens of an Authorization header."""

import pytest

from rtserver.auth.bearer import bearer_token


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer t0ken", "t0ken"),
        ("bearer t0ken", "t0ken"),
        (" \tBEARER  t0ken \t", "t0ken"),
        ("Bearer ", ""),
        ("", None),
        ("Bearer", None),
        ("Basic dXNlcjpwYXNz", None),
    ],
)
def test_the_scheme_is_bearer_in_any_case_and_other_schemes_are_ignored(header: str, token: str | None) -> None:
    assert bearer_token(header) == token
