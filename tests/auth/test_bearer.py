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
        ("\xa0Bearer t0ken", None),
        ("Bearer t0ken\xa0", "t0ken\xa0"),
    ],
)
def test_only_spaces_and_tabs_may_surround_scheme_and_token(header: str, token: str | None) -> None:
    assert bearer_token(header) == token
