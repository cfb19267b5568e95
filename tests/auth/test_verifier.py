"""Accepted and rejected tokens. A rejected client learns only "expired" or "invalid"."""

import base64
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from rtserver.auth.issuer import issue
from rtserver.auth.keys import Key, secret_keys
from rtserver.auth.public_keys import public_keys
from rtserver.auth.verifier import MAX_TOKEN_LENGTH, TokenVerifier
from rtserver.errors import Refused
from rtserver.identity import Identity

SECRET = "the-first-secret-of-these-tests-0123456789-abcdefghijklmnopqrstuvwxyz"
OLD_SECRET = "an-older-secret-of-these-tests-0123456789-abcdefghijklmnopqrstuvwxyz"
RSA = rsa.generate_private_key(65537, 2048)
PRIVATE: dict[str, Any] = {
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "PS256": RSA,
    "PS384": RSA,
    "PS512": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def pem(private: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def claims(**changes: Any) -> dict[str, Any]:
    """Valid claims with changes; None removes a claim."""
    wanted = {"sub": "alice", "exp": time.time() + 60} | changes
    return {name: value for name, value in wanted.items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def raw(header: Any, payload: Any, signature: bytes = b"") -> str:
    """A token that the library would not create."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


def verifier(**options: Any) -> TokenVerifier:
    return TokenVerifier([key.only(("HS256",)) for key in secret_keys([SECRET, OLD_SECRET])], **options)


async def code_of(token: str, checking: TokenVerifier | None = None) -> str:
    with pytest.raises(Refused) as caught:
        await (checking or verifier()).verify(token)
    assert caught.value.payload() == {"message": "Auth failed", "data": {"code": caught.value.code}}
    assert caught.value.__cause__ is None
    return caught.value.code


class TestGoodTokens:
    async def test_an_issued_token_identifies_its_user(self) -> None:
        token = issue(SECRET, sub="alice", name="Alice", roles=["admin", "moderator"], ttl=60)
        identity = await verifier().verify(token)
        now = time.time()
        assert (identity.user, identity.name, identity.roles) == ("alice", "Alice", {"admin", "moderator"})
        assert identity.token_id
        assert identity.issued_at == pytest.approx(now, abs=5)
        assert identity.expires_at == pytest.approx(now + 60, abs=5)

    async def test_sub_and_exp_are_enough(self) -> None:
        identity = await verifier().verify(signed(exp=4_000_000_000))
        assert identity == Identity("alice", expires_at=4_000_000_000.0)

    async def test_a_single_role_may_be_a_string(self) -> None:
        assert (await verifier().verify(signed(roles="admin"))).roles == {"admin"}

    async def test_a_secret_that_was_rotated_out_of_signing_still_verifies(self) -> None:
        assert (await verifier().verify(signed(OLD_SECRET))).user == "alice"

    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    async def test_every_hash_works(self, algorithm: str) -> None:
        keys = [key.only([algorithm]) for key in secret_keys([SECRET])]
        assert (await TokenVerifier(keys).verify(signed(algorithm=algorithm))).user == "alice"

    @pytest.mark.parametrize("algorithm", PRIVATE)
    async def test_every_kind_of_public_key_works(self, algorithm: str) -> None:
        keys = [key.only([algorithm]) for key in public_keys(pem(PRIVATE[algorithm]))]
        assert (await TokenVerifier(keys).verify(signed(PRIVATE[algorithm], algorithm))).user == "alice"

    async def test_ed448_works(self) -> None:
        private = ed448.Ed448PrivateKey.generate()
        assert (await TokenVerifier(public_keys(pem(private))).verify(signed(private, "EdDSA"))).user == "alice"

    async def test_of_several_public_keys_in_one_pem_each_one_works(self) -> None:
        old, new = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
        checking = TokenVerifier(public_keys(pem(old) + pem(new)))
        for private in (old, new):
            assert (await checking.verify(signed(private, "EdDSA"))).user == "alice"

    async def test_small_clock_differences_are_tolerated(self) -> None:
        now = time.time()
        assert (await verifier(leeway=10).verify(signed(exp=now - 5, nbf=now + 5, iat=now + 5))).user == "alice"


_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _with_bits(segment: str) -> list[str]:
    """The other texts of the same bytes: the bits that are left over in the last character are not zero."""
    left_over = {2: 4, 3: 2}.get(len(segment) % 4, 0)
    last = _ALPHABET.index(segment[-1])
    return [segment[:-1] + _ALPHABET[last + extra] for extra in range(1, 1 << left_over)]


class TestOtherTextsOfAToken:
    """A token is written in one way only, whatever a base64 decoder puts up with."""

    @pytest.mark.parametrize("number", [0, 1, 2])
    @pytest.mark.parametrize("kid", ["", "a", "ab"])
    async def test_a_segment_in_another_writing(self, number: int, kid: str) -> None:
        token = signed(headers={"kid": kid}, name="x" * len(kid))
        assert (await verifier().verify(token)).user == "alice"
        parts = token.split(".")
        part = parts[number]
        writings = [f"{part}=", f"{part}==", f"{part}\n", f" {part}", f"{part[:4]}\n{part[4:]}", f"{part}!", f"{part}A"]
        writings += [f"{part}=AAAA", f"{part[:4]}*{part[4:]}", f"{part}\u00e9", f"={part}", ""]
        for writing in (*writings, *_with_bits(part)):
            other = ".".join([*parts[:number], writing, *parts[number + 1 :]])
            assert await code_of(other) == "token_invalid", other

    @pytest.mark.parametrize("algorithm", PRIVATE)
    async def test_a_signature_in_another_writing(self, algorithm: str) -> None:
        checking = TokenVerifier(public_keys(pem(PRIVATE[algorithm])))
        token = signed(PRIVATE[algorithm], algorithm)
        head, _, signature = token.rpartition(".")
        for writing in (f"{signature}=", f"{signature}==", f"{signature}\n", *_with_bits(signature)):
            assert await code_of(f"{head}.{writing}", checking) == "token_invalid"

    async def test_the_standard_alphabet_is_another_one(self) -> None:
        found = next(token for n in range(1000) if "-" in (token := signed(jti=str(n))).rpartition(".")[2])
        head, _, signature = found.rpartition(".")
        assert await code_of(f"{head}.{signature.replace('-', '+')}") == "token_invalid"

    async def test_of_a_long_text_little_is_read(self) -> None:
        for text in ("A" * 8000, "." * 8000, "A." * 4000, "AAAA" * 2000 + "."):
            assert await code_of(text) == "token_invalid"


class TestReservedNames:
    @pytest.mark.parametrize("sub", ["api key", "API key", " api key ", "Api Key"])
    async def test_no_user_has_the_name_of_the_key_holder(self, sub: str) -> None:
        assert await code_of(signed(sub=sub)) == "token_invalid"

    @pytest.mark.parametrize("sub", ["api-key", "api key 2", "api", "server", "system", "unix", "127.0.0.1", "service"])
    async def test_other_names_are_free(self, sub: str) -> None:
        assert (await verifier().verify(signed(sub=sub))).user == sub


class TestForgedTokens:
    async def test_a_wrong_key(self) -> None:
        assert await code_of(signed("another-secret-of-at-least-32-bytes!")) == "token_invalid"

    @pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
    async def test_no_signature(self, name: str) -> None:
        assert await code_of(raw({"alg": name, "typ": "JWT"}, claims())) == "token_invalid"

    async def test_a_signature_of_the_right_key_under_another_name(self) -> None:
        assert await code_of(signed(algorithm="HS512")) == "token_invalid"

    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    async def test_a_public_key_used_as_a_secret(self, algorithm: str) -> None:
        """Algorithm confusion: a public key is public, so an HMAC made with it proves nothing."""
        import hashlib
        import hmac

        public = pem(RSA)
        head_and_body = raw({"alg": algorithm, "typ": "JWT"}, claims()).rsplit(".", 1)[0]
        digest = getattr(hashlib, f"sha{algorithm[2:]}")
        forged = hmac.new(public.encode(), head_and_body.encode(), digest).digest()
        token = head_and_body + "." + base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
        assert await code_of(token, TokenVerifier(public_keys(public))) == "token_invalid"
        both = TokenVerifier([*public_keys(public), *secret_keys([SECRET])])
        assert await code_of(token, both) == "token_invalid"

    def test_a_public_key_cannot_be_set_as_a_secret(self) -> None:
        with pytest.raises(ValueError, match="PEM"):
            secret_keys([pem(RSA)])

    async def test_a_changed_payload(self) -> None:
        head, _, signature = signed().split(".")
        body = base64.urlsafe_b64encode(json.dumps(claims(sub="root")).encode()).rstrip(b"=").decode()
        assert await code_of(f"{head}.{body}.{signature}") == "token_invalid"

    async def test_keys_in_headers_are_ignored(self) -> None:
        attacker = ed25519.Ed25519PrivateKey.generate()
        header = {"jwk": {"kty": "OKP"}, "jku": "https://evil.test", "kid": "../../dev/null"}
        token = signed(attacker, "EdDSA", headers=header)
        assert await code_of(token, TokenVerifier(public_keys(pem(PRIVATE["EdDSA"])))) == "token_invalid"

    async def test_critical_extensions_are_not_ignored(self) -> None:
        assert await code_of(signed(headers={"crit": ["exp2"], "exp2": 1})) == "token_invalid"


class TestTime:
    async def test_an_expired_token_is_reported_as_expired(self) -> None:
        assert await code_of(signed(exp=time.time() - 60)) == "token_expired"

    async def test_a_forged_expired_token_is_invalid(self) -> None:
        """Otherwise the answer would confirm a guess."""
        assert await code_of(signed(OLD_SECRET[::-1], exp=time.time() - 60)) == "token_invalid"

    @pytest.mark.parametrize("later", [60, 86_400, 10**9])
    async def test_a_token_that_is_not_valid_yet_has_a_code_of_its_own(self, later: float) -> None:
        now = int(time.time())
        assert await code_of(signed(exp=now + 2 * later, nbf=now + later)) == "token_not_yet_valid"
        assert await code_of(signed(exp=now + 2 * later, nbf=str(now + later))) == "token_not_yet_valid"

    async def test_a_forged_token_for_later_is_invalid(self) -> None:
        assert await code_of(signed(OLD_SECRET[::-1], nbf=time.time() + 60)) == "token_invalid"
        assert await code_of(signed(sub="", nbf=time.time() + 60)) == "token_invalid"
        assert await code_of(signed(aud="web", nbf=time.time() + 60), verifier(audience=["chat"])) == "token_invalid"

    async def test_a_token_that_expired_before_it_was_valid_is_expired(self) -> None:
        assert await code_of(signed(exp=time.time() - 60, nbf=time.time() + 60)) == "token_expired"

    @pytest.mark.parametrize("ahead", [60, 10**9])
    async def test_the_time_of_issue_does_not_matter(self, ahead: float) -> None:
        issued = time.time() + ahead
        assert (await verifier().verify(signed(iat=issued))).issued_at == pytest.approx(issued, abs=1)

    async def test_the_leeway_is_configurable(self) -> None:
        now = time.time()
        assert await code_of(signed(exp=now - 5), verifier(leeway=0)) == "token_expired"
        assert await code_of(signed(nbf=now + 5), verifier(leeway=0)) == "token_not_yet_valid"
        assert (await verifier(leeway=60).verify(signed(exp=now - 30, nbf=now + 30))).user == "alice"

    @pytest.mark.parametrize("unit", [10**3, 10**6, 10**9], ids=["milliseconds", "microseconds", "nanoseconds"])
    async def test_times_in_smaller_units_are_converted_with_one_warning(self, unit: int) -> None:
        now, checking = int(time.time()), verifier()
        with capture_logs() as logs:
            for _ in range(3):
                token = signed(exp=(now + 60) * unit, nbf=(now - 60) * unit, iat=now * unit)
                identity = await checking.verify(token)
        assert (identity.expires_at, identity.issued_at) == (pytest.approx(now + 60), pytest.approx(now))
        assert sorted((line["log_level"], line["event"], line["claim"]) for line in logs) == [
            ("warning", "token_claim_odd", claim) for claim in ("exp", "iat", "nbf")
        ]
        assert await code_of(signed(exp=(now - 60) * unit)) == "token_expired"
        assert await code_of(signed(nbf=(now + 60) * unit)) == "token_not_yet_valid"

    @pytest.mark.parametrize("never", [9_999_999_999, 253_402_300_799, 2**53 - 1, 2**63 - 1])
    async def test_a_token_for_ever_is_accepted_with_a_warning(self, never: int) -> None:
        checking = verifier()
        with capture_logs() as logs:
            identity = await checking.verify(signed(exp=never))
        assert identity.expires_at is not None
        assert identity.expires_at > 7_258_118_400
        assert {"claim": "exp", "reason": "it is after the year 2200"}.items() <= logs[-1].items()

    async def test_an_ordinary_token_is_accepted_without_a_warning(self) -> None:
        now, checking = time.time(), verifier()
        with capture_logs() as logs:
            await checking.verify(issue(SECRET, sub="alice", name="Alice", roles=["admin"], ttl=60))
            await checking.verify(signed(exp=4_102_444_800, nbf=now - 1, iat=now))
        assert logs == []


WRONG_CLAIMS: list[Mapping[str, Any]] = [
    {"exp": None}, {"exp": "soon"}, {"exp": "4000000000"}, {"exp": [4_000_000_000]}, {"exp": True}, {"exp": 10**22},
    {"exp": float("inf")}, {"exp": float("nan")}, {"exp": 10**400}, {"exp": -(10**400)}, {"exp": 1e300},
    {"nbf": "now"}, {"nbf": True}, {"nbf": []}, {"nbf": ""}, {"nbf": 10**400}, {"nbf": float("nan")},
    {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": ["alice"]}, {"sub": {"id": 1}}, {"sub": "x" * 201},
    {"sub": "a\nb"}, {"sub": "a\x00b"}, {"sub": "a\x7f"}, {"sub": "a\u2028b"}, {"sub": "\ud800"},
]  # fmt: skip

ODD_VALUES: list[Any] = [
    7.5, True, {}, {"admin": True}, [], [["admin"]], "", "x" * 201, "a\x00", "a\nb", "\udfff", "a\u2028", float("nan"),
]  # fmt: skip
ODD_CLAIMS: list[tuple[str, Any]] = [
    *((claim, value) for claim in ("name", "jti") for value in [*ODD_VALUES, None, ["Alice"]]),
    *(("roles", value) for value in [7, 7.5, True, {}, {"admin": True}, [], "", [""], [7, None], [["admin"]], None]),
    *(("roles", value) for value in ["x" * 201, ["\ud800"], ["a\nadmin"], [{"admin": True}], float("nan")]),
    *(("iat", value) for value in ["now", "", True, [], {}, None, 10**400, float("inf")]),
    ("nbf", None),
]


def encoded(payload: Mapping[str, Any]) -> str:
    """A signed token with null claims, which `signed` cannot make."""
    return jwt.api_jws.encode(json.dumps(payload).encode(), SECRET, algorithm="HS256")


class TestClaims:
    @pytest.mark.parametrize("changes", WRONG_CLAIMS, ids=lambda changes: str(changes)[:40])
    async def test_claims_of_the_wrong_shape(self, changes: Mapping[str, Any]) -> None:
        payload = {
            name: value for name, value in ({"sub": "alice", "exp": 4e9} | dict(changes)).items() if value is not None
        }
        assert await code_of(encoded(payload)) == "token_invalid"

    @pytest.mark.parametrize(("claim", "value"), ODD_CLAIMS, ids=lambda part: ascii(part)[:20])
    async def test_an_odd_optional_claim_is_left_out(self, claim: str, value: Any) -> None:
        token = encoded({"sub": "alice", "exp": 4e9, claim: value})
        assert await verifier().verify(token) == Identity("alice", expires_at=4e9)

    async def test_all_optional_claims_may_be_null(self) -> None:
        optional = ("name", "roles", "jti", "iat", "nbf", "aud", "iss")
        token = encoded({"sub": "alice", "exp": 4e9, **dict.fromkeys(optional)})
        assert await verifier().verify(token) == Identity("alice", expires_at=4e9)

    async def test_numbers_as_names_and_ids_become_text(self) -> None:
        identity = await verifier().verify(signed(name=7, jti=17))
        assert (identity.name, identity.token_id) == ("7", "17")

    async def test_of_odd_roles_the_strings_count(self) -> None:
        roles = ["admin", 7, None, "", ["observer"], {"moderator": True}, "x" * 201, "a\nb", True]
        assert (await verifier().verify(signed(roles=roles))).roles == {"admin"}

    async def test_an_odd_claim_is_logged_once_and_without_its_value(self) -> None:
        checking = verifier()
        with capture_logs() as logs:
            for number in range(3):
                await checking.verify(signed(sub=f"user-{number}", roles={"hidden": number}, name=["hidden"]))
        assert sorted(line["claim"] for line in logs) == ["name", "roles"]
        assert "hidden" not in str(logs)

    @pytest.mark.parametrize("payload", [b"[]", b"7", b"null", b'"text"', b"{", b"\xff\xfe", b"[" * 3000, b""])
    async def test_a_payload_that_is_not_an_object(self, payload: bytes) -> None:
        assert await code_of(jwt.api_jws.encode(payload, SECRET, algorithm="HS256")) == "token_invalid"

    async def test_user_ids_may_use_any_script(self) -> None:
        assert (await verifier().verify(signed(sub="アリス", name="Zoë 👩‍👩‍👧"))).name == "Zoë 👩‍👩‍👧"

    async def test_the_audience_is_checked_where_it_is_set(self) -> None:
        strict = verifier(audience=["chat", "app"])
        assert (await strict.verify(signed(aud="app"))).user == "alice"
        assert (await strict.verify(signed(aud=["web", "chat"]))).user == "alice"
        for wrong in ("web", ["web"], None, 7, []):
            assert await code_of(signed(aud=wrong), strict) == "token_invalid"
        assert (await verifier().verify(signed(aud="anything"))).user == "alice"

    async def test_the_issuer_is_checked_where_it_is_set(self) -> None:
        strict = verifier(issuer=["https://a.test", "https://b.test"])
        assert (await strict.verify(signed(iss="https://b.test"))).user == "alice"
        for wrong in ("https://a.test/", "https://c.test", None):
            assert await code_of(signed(iss=wrong), strict) == "token_invalid"


class TestGarbage:
    async def test_a_token_without_expiry(self) -> None:
        assert await code_of(signed(padding="x" * MAX_TOKEN_LENGTH)) == "token_invalid"
        assert await code_of("x" * 10_000_000) == "token_invalid"

    @pytest.mark.parametrize(
        "header",
        [
            {}, {"alg": None}, {"alg": 7}, {"alg": ["HS256"]}, {"alg": {}}, [], 7, None, b"[" * 4000, b"\xff", b"{",
            {"alg": "HS256", "kid": 7}, {"alg": "HS256", "b64": False, "crit": ["b64"]}, {"alg": "HS256", "crit": []},
        ],
    )  # fmt: skip
    async def test_a_strange_header(self, header: Any) -> None:
        assert await code_of(raw(header, claims(), b"x" * 32)) == "token_invalid"

    @given(st.text() | st.text("abcXYZ019-_=.", max_size=80) | st.text(".", max_size=5))
    @settings(max_examples=200, deadline=None)
    async def test_any_text_is_rejected_with_the_same_message(self, token: str) -> None:
        assert await code_of(token) == "token_invalid"

    @given(
        st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "x5c"]), st.recursive(
            st.none() | st.booleans() | st.floats() | st.sampled_from(["HS256", "none", "RS256", "b64"]),
            lambda inner: st.lists(inner, max_size=2), max_leaves=4,
        )),
        st.binary(max_size=60),
        st.binary(max_size=40),
    )  # fmt: skip
    @settings(max_examples=200, deadline=None)
    async def test_any_header_and_payload_is_rejected_with_the_same_message(
        self, header: Any, payload: bytes, signature: bytes
    ) -> None:
        assert await code_of(raw(header, payload, signature)) == "token_invalid"

    @given(
        st.dictionaries(
            st.sampled_from(["sub", "exp", "iat", "nbf", "name", "roles", "jti", "aud", "iss"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
                max_leaves=6,
            ),
        )
    )
    @settings(max_examples=300, deadline=None)
    async def test_any_signed_claims_lead_to_an_identity_or_a_rejection(self, payload: dict[str, Any]) -> None:
        token = jwt.api_jws.encode(json.dumps(payload).encode(), SECRET, algorithm="HS256")
        with suppress(Refused):
            assert isinstance((await verifier().verify(token)).user, str)


class TestKeySources:
    async def test_keys_may_come_from_another_source(self) -> None:
        """For issuers that publish their keys: the source sees the header, which is not trusted."""
        asked: list[Mapping[str, Any]] = []

        class ByKid:
            async def keys_for(self, header: Mapping[str, Any]) -> Sequence[Key]:
                asked.append(header)
                return secret_keys([SECRET]) if header.get("kid") == "1" else []

        checking = TokenVerifier(ByKid())
        assert (await checking.verify(signed(headers={"kid": "1"}))).user == "alice"
        assert await code_of(signed(headers={"kid": "2"}), checking) == "token_invalid"
        assert [header["kid"] for header in asked] == ["1", "2"]
