"""Settings of tokens and keys, and what follows from them: which keys sign and verify, with which algorithms."""

from __future__ import annotations

from typing import ClassVar

from rtserver.auth.keys import HMAC, Key, secret_keys
from rtserver.config import field_types as kind
from rtserver.config.dev_secret import dev_secret
from rtserver.config.server import ServerSettings
from rtserver.config.sources import variable
from rtserver.errors import ConfigError


class TokenSettings(ServerSettings):
    """The group "Tokens and keys"."""

    GROUP: ClassVar[str] = "Tokens and keys"

    jwt_secret: kind.Secrets = ()
    """The secret that tokens are signed with, or several separated by commas: the first one signs, all verify."""
    jwt_public_key: kind.Pem | None = None
    """Public keys (RSA, EC, Ed25519) of the issuer as PEM, or the path of a file. Line breaks may be written `\\n`."""
    jwt_jwks_url: kind.WebUrl | None = None
    """Where the issuer publishes its keys. Comes with a later release."""
    jwt_algorithms: kind.Algorithms = ()
    """The algorithms that tokens may be signed with."""
    jwt_audience: kind.Names = ()
    """Accept only tokens whose `aud` is one of these."""
    jwt_issuer: kind.Names = ()
    """Accept only tokens whose `iss` is one of these."""
    jwt_leeway: kind.Skew = 10.0
    """Seconds that the clocks of the issuer and of this server may differ."""
    jwt_cookie: kind.CookieName | None = None
    """Accept the token from the cookie of this name too. Later requests of a session that was opened with it need it
    too; JSONP is off."""
    jwt_query: kind.Switch = False
    """Accept the token as `?token=…` too. URLs end up in the logs of proxies, so leave it off if you can."""
    api_key: kind.ApiKey | None = None
    """The Bearer key of the HTTP API, for backends. Without it the API is off."""

    @property
    def configured_keys(self) -> tuple[Key, ...]:
        """The keys that were set; in development there may be none."""
        secrets = secret_keys([secret.get_secret_value() for secret in self.jwt_secret])
        return (*secrets, *kind.keys_in(self.jwt_public_key)) if self.jwt_public_key else tuple(secrets)

    def signing_secret(self) -> str:
        """Return the secret that tokens are signed with.

        Development mode without any key makes one once and keeps it in `data_dir`. Raises `ConfigError` where there are
        only public keys: their issuer makes the tokens.
        """
        if self.jwt_secret:
            return self.jwt_secret[0].get_secret_value()
        if self.configured_keys or self.production:
            raise ConfigError(
                [f"{variable('jwt_secret')} is not set: this server checks tokens, and cannot make them."]
            )
        return dev_secret(self.data_dir)

    @property
    def signing_algorithm(self) -> str:
        """The algorithm of `signing_secret`."""
        return next((algorithm for algorithm in self.algorithms if algorithm in HMAC), "HS256")

    def jwt_keys(self) -> tuple[Key, ...]:
        """Return every key that may verify a token, each restricted to the algorithms allowed for it."""
        keys = self.configured_keys or tuple(secret_keys([self.signing_secret()]))
        return tuple(key.only(self.algorithms) for key in keys)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that a token may use."""
        usual = dict.fromkeys(key.algorithms[0] for key in self.configured_keys)
        return self.jwt_algorithms or tuple(usual) or ("HS256",)
