"""The keys of tokens, as the settings give them: what signs, what verifies, and by which algorithms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from rtserver.auth.keys import HMAC, Key, public_keys, secret_keys
from rtserver.config.dev_secret import dev_secret
from rtserver.config.sources import variable
from rtserver.errors import ConfigError


class TokenKeys:
    """The part of `Settings` that answers for keys."""

    if TYPE_CHECKING:
        jwt_secret: tuple[SecretStr, ...]
        jwt_public_key: str | None
        jwt_algorithms: tuple[str, ...]
        data_dir: Path

        @property
        def production(self) -> bool: ...

    @property
    def configured_keys(self) -> tuple[Key, ...]:
        """The keys that were set; in development there may be none."""
        public = public_keys(self.jwt_public_key) if self.jwt_public_key else []
        return (*secret_keys([secret.get_secret_value() for secret in self.jwt_secret]), *public)

    def signing_secret(self) -> str:
        """What tokens are signed with. Development without any key makes one, once, and keeps it in `data_dir`.

        Raises ConfigError where there are only public keys: tokens are then made elsewhere.
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
        return next((algorithm for algorithm in self.algorithms if algorithm in HMAC), "HS256")

    def jwt_keys(self) -> tuple[Key, ...]:
        """Everything that a token may be verified with, each key with the only algorithms that it may be used with."""
        keys = self.configured_keys or tuple(secret_keys([self.signing_secret()]))
        return tuple(key.only(self.algorithms) for key in keys)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The only algorithms that a token may use."""
        usual = dict.fromkeys(key.algorithms[0] for key in self.configured_keys)
        return self.jwt_algorithms or tuple(usual) or ("HS256",)
