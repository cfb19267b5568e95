"""Settings as an operator sees them: sources of values, and the fault for each wrong one."""

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from rtserver.config.reference import GROUPS, descriptions, markdown
from rtserver.config.settings import Settings
from rtserver.config.sources import PREFIX
from rtserver.errors import ConfigError
from rtserver.rate_limit import Rate
from tests.support.repository import ROOT

STRONG = "3f9c1e07b5a84d62" * 4
PASSWORD = "hunter2-in-a-url"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and none of the developer's own settings."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith(PREFIX) or name in ("PORT", "REDIS_URL", "DATABASE_URL"):
            monkeypatch.delenv(name)


def faults(**flags: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Settings(**flags)
    return caught.value.faults


def only_fault(**flags: Any) -> str:
    (fault,) = faults(**flags)
    return fault


def pem(private: Any) -> str:
    return (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


ED25519 = pem(ed25519.Ed25519PrivateKey.generate())
P256 = pem(ec.generate_private_key(ec.SECP256R1()))


class TestDefaults:
    def test_a_server_without_any_setting_is_a_development_server_on_this_machine(self) -> None:
        settings = Settings()
        assert (settings.mode, settings.host, settings.port) == ("development", "127.0.0.1", 8000)
        assert settings.database_url.get_secret_value() == "sqlite:///var/rtserver.db"
        assert settings.redis_url is None
        assert settings.rate_events == Rate(100)
        assert settings.transports == ("polling", "websocket")

    def test_no_pages_but_the_servers_own_are_listed(self) -> None:
        assert Settings().cors_origins == Settings(mode="production", jwt_secret=STRONG).cors_origins == ()

    def test_the_database_lives_in_the_data_folder(self, tmp_path: Path) -> None:
        settings = Settings(data_dir=tmp_path / "data")
        assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/data/rtserver.db"


class TestSources:
    def test_a_flag_wins_over_the_environment_and_that_over_the_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path(".env").write_text("RTSERVER_PORT=1\nRTSERVER_HOST=10.0.0.1\nRTSERVER_LOG_LEVEL=debug\n")
        monkeypatch.setenv("RTSERVER_PORT", "2")
        monkeypatch.setenv("RTSERVER_HOST", "10.0.0.2")
        settings = Settings(port=3)
        assert (settings.port, settings.host, settings.log_level) == (3, "10.0.0.2", "debug")
        sources = [settings.found(name).source for name in ("port", "host", "log_level", "mode")]
        assert sources == ["flag", "environment", ".env", "default"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [("PORT", "9000"), ("REDIS_URL", "redis://cache:6379/1"), ("DATABASE_URL", "postgres://u:p@db/app")],
    )
    def test_names_that_platforms_set_are_accepted(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(name, value)
        found = Settings().found(name.lower())
        assert (found.value, found.name) == (value, name)

    def test_the_prefixed_name_wins_over_what_the_platform_sets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PORT", "1")
        monkeypatch.setenv("RTSERVER_PORT", "2")
        assert Settings().port == 2

    def test_other_names_without_the_prefix_are_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOST", "not ours")
        monkeypatch.setenv("MODE", "not ours")
        Path(".env").write_text("POSTGRES_PASSWORD=not-ours\n")
        assert Settings().host == "127.0.0.1"

    def test_an_empty_value_counts_as_not_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RTSERVER_REDIS_URL", "")
        monkeypatch.setenv("RTSERVER_PORT", " ")
        assert (Settings().redis_url, Settings().port) == (None, 8000)

    def test_an_env_file_that_is_no_text_is_a_fault(self) -> None:
        Path(".env").write_bytes(b"RTSERVER_PORT=\xff\xfe\n")
        assert "The file .env cannot be read" in only_fault()


class TestUnknownNames:
    def test_the_right_name_is_suggested_for_a_misspelt_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RTSERVER_JWT_SECERT", STRONG)
        assert only_fault() == "RTSERVER_JWT_SECERT is not a setting: did you mean RTSERVER_JWT_SECRET?"

    def test_in_the_file_too(self) -> None:
        Path(".env").write_text("RTSERVER_CORS_ORIGIN=https://example.com\n")
        assert "did you mean RTSERVER_CORS_ORIGINS?" in only_fault()

    def test_the_right_name_is_suggested_for_one_in_lower_case(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("rtserver_port", "1")
        assert only_fault() == "rtserver_port is not a setting: did you mean RTSERVER_PORT?"

    def test_nothing_is_suggested_for_a_name_that_resembles_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RTSERVER_ZZZZZZ", "1")
        assert "did you mean" not in only_fault()


WRONG = [
    ("mode", "staging"), ("host", "a b"), ("host", "http://x"), ("host", "unix:"),
    ("host", "unix:relative"), ("host", "[::1"), ("path", "/"), ("path", "a b"), ("path", "/a//b"),
    ("path", "/a/../b"), ("path", "/a?b"), ("path", "//"), ("trusted_proxies", "unix:/run/x"),
    ("port", "eighty"), ("port", "65536"), ("port", "-1"),
    ("workers", "0"), ("instance", "a-b"), ("jwt_secret", P256), ("jwt_public_key", "/no/such/file"),
    ("jwt_public_key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), ("jwt_jwks_url", "ftp://x/y"),
    ("jwt_jwks_url", "http://issuer.example/keys"), ("jwt_algorithms", "none"), ("jwt_algorithms", "HS256,HS1"),
    ("jwt_leeway", "-1"), ("jwt_leeway", "nan"), ("jwt_cookie", "a b"), ("jwt_query", "perhaps"), ("api_key", "a b"),
    ("redis_url", "localhost:6379"), ("redis_url", "http://x"), ("redis_url", "redis://"), ("redis_url", "redis://h/x"),
    ("redis_url", "redis://h:port/0"), ("redis_url", "redis://[::1"), ("redis_url", "unix://"),
    ("redis_adapter", "fast"),
    ("database_url", "mysql://u:p@h/db"), ("database_url", "postgresql://h"), ("database_url", "sqlite://file.db"),
    ("database_url", "sqlite://"), ("database_url", "sqlite:///:memory:"), ("database_url", "rtserver.db"),
    ("database_timeout", "0"), ("database_timeout", "inf"), ("database_timeout", "601"),
    ("cors_origins", "example.com"), ("cors_origins", "https://example.com/path"), ("cors_origins", "https://*.x.com"),
    ("cors_origins", "https://a@b.com"), ("cors_origins", "https://"), ("cors_origins", "http://127.1"),
    ("cors_origins", "http://h:65536"), ("cors_origins", "https://a.com\\"), ("cors_origins", "https://b\u00fc.com/x"),
    ("trusted_proxies", "localhost"), ("namespaces", "my.module"), ("namespaces", "my module:X"),
    ("transports", "carrier-pigeon"), ("transports", ","), ("ping_interval", "0"), ("ping_interval", "inf"),
    ("ping_timeout", "soon"), ("drain_seconds", "-1"), ("max_payload", "1MB"), ("max_attachments", "-1"),
    ("rate_events", "50"), ("rate_events", "0/s"), ("rate_events", "5/h"), ("rate_connects", "many/s"),
    ("chat_max_text", "0"), ("chat_room_policy", "closed"), ("log_level", "loud"), ("log_format", "xml"),
    ("webhook_url", "ftp://x"), ("webhook_url", "backend"), ("webhook_secret", "secret"), ("webhook_secret", "whsec_"),
    ("webhook_secret", "whsec_!!!"), ("webhook_secret", "whsec_c2hvcnQ="), ("webhook_delay", "-1"),
]  # fmt: skip


class TestValues:
    @pytest.mark.parametrize(("name", "value"), WRONG)
    def test_a_wrong_value_is_a_fault_that_says_what_is_right(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(PREFIX + name.upper(), value)
        fault = only_fault()
        assert fault.startswith(f"{PREFIX}{name.upper()} must be ")
        assert fault.endswith(".")

    def test_all_faults_are_reported_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Faults between settings and unknown names are included, also when single values are wrong."""
        monkeypatch.setenv("RTSERVER_BOGUS_NAME", "1")
        told = faults(mode="production", port="x", cors_origins="*", api_key="short", log_level="loud", workers="2")
        for name in ("BOGUS_NAME", "PORT", "LOG_LEVEL", "JWT_SECRET", "CORS_ORIGINS", "API_KEY", "REDIS_URL"):
            assert sum(fault.startswith(f"RTSERVER_{name} ") for fault in told) == 1, name
        assert len(told) == 7

    def test_the_fault_names_the_variable_that_was_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PORT", "x")
        assert only_fault().startswith("PORT must be")

    def test_a_long_value_is_cut_in_the_fault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RTSERVER_PORT", "9" * 10_000)
        assert len(only_fault()) < 200

    def test_rates_are_parsed(self) -> None:
        assert Settings(rate_events="100/m").rate_events == Rate(100, 60.0)
        assert Settings(rate_events="5/s").rate_events == Rate(5)
        assert Settings(rate_events="off").rate_events is None

    def test_origins_are_normalised_to_what_browsers_send(self) -> None:
        origins = "https://Example.COM/, http://a.test:80,https://b.test:443 ,http://c.test:8080,capacitor://localhost"
        assert Settings(cors_origins=origins).cors_origins == (
            "https://example.com", "http://a.test", "https://b.test", "http://c.test:8080", "capacitor://localhost",
        )  # fmt: skip
        origins = (
            "wss://a.test,FILE:///,NULL,http://[0::1]:80,https://B\u00fccher.example,ionic://localhost,https://a.test"
        )
        assert Settings(cors_origins=origins).cors_origins == (
            "https://a.test", "file://", "null", "http://[::1]", "https://xn--bcher-kva.example", "ionic://localhost",
        )  # fmt: skip

    @pytest.mark.parametrize("origin", ["file://", "capacitor://localhost", "http://localhost:5173"])
    def test_pages_of_files_and_apps_can_be_listed_in_production(self, origin: str) -> None:
        assert Settings(mode="production", jwt_secret=STRONG, cors_origins=origin).cors_origins == (origin,)

    def test_proxies_are_addresses_or_networks(self) -> None:
        proxies = Settings(trusted_proxies="127.0.0.1, 10.1.2.3/8,::1").trusted_proxies
        assert [str(network) for network in proxies] == ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]
        mapped = Settings(trusted_proxies="::ffff:127.0.0.1, ::FFFF:10.0.0.0/104, Unix").trusted_proxies
        assert [str(peer) for peer in mapped] == ["127.0.0.1/32", "10.0.0.0/8", "unix"]

    def test_a_host_may_be_in_brackets_or_a_unix_socket(self) -> None:
        assert [Settings(host=host).host for host in ("[::1]", "::", "unix:/run/x")] == ["::1", "::", "unix:/run/x"]

    def test_a_unix_socket_whose_peers_are_not_trusted_is_a_warning(self) -> None:
        alone = "RTSERVER_TRUSTED_PROXIES does not hold unix: all clients that come through unix:/run/x count as one"
        assert any(warning.startswith(alone) for warning in Settings(host="unix:/run/x").warnings())
        trusted = Settings(host="unix:/run/x", trusted_proxies="unix").warnings()
        assert not any("unix" in warning and "everyone" not in warning for warning in trusted)

    @pytest.mark.parametrize("path", ["realtime", "/realtime", "/realtime/", " /realtime"])
    def test_a_path_has_a_slash_at_its_beginning_only(self, path: str) -> None:
        assert Settings(path=path).path == "/realtime"

    @pytest.mark.parametrize(
        "url",
        [
            "redis://h", "rediss://:p%40ss@h:6380/2", "unix:///run/redis.sock?db=1", "redis://[::1]:6379/0",
            "redis+sentinel://u:p%40ss@a:26379,b/main/1?sentinel_password=x", "rediss+cluster://a:6379,b:6380",
            "valkey://h", "valkeys://h", "valkey+unix:///run/valkey.sock", "valkey+sentinel://a/main",
        ],
    )  # fmt: skip
    def test_every_kind_of_redis_url_is_accepted(self, url: str) -> None:
        redis_url = Settings(redis_url=url).redis_url
        assert redis_url is not None
        assert redis_url.get_secret_value() == url

    @pytest.mark.parametrize(
        "url",
        [
            "sqlite:////srv/x.db", "sqlite+aiosqlite:///x.db", "postgres://u:p@h:5432/db?sslmode=require",
            "postgresql+asyncpg://u@h/db", "postgresql:///db", "postgresql://u@a:5432,b:5432/db",
        ],
    )  # fmt: skip
    def test_every_kind_of_database_url_is_accepted(self, url: str) -> None:
        assert Settings(database_url=url).database_url.get_secret_value() == url


class TestProduction:
    def test_it_starts_with_a_strong_secret(self) -> None:
        assert Settings(mode="production", jwt_secret=STRONG).signing_secret() == STRONG

    def test_it_starts_with_a_public_key_alone(self) -> None:
        assert Settings(mode="production", jwt_public_key=ED25519).algorithms == ("EdDSA",)

    def test_a_missing_secret_is_rejected(self) -> None:
        assert "RTSERVER_JWT_SECRET is missing" in only_fault(mode="production")

    @pytest.mark.parametrize(
        "secret",
        [
            "secret", "changeme", "x" * 64, "0123456789abcdef", "a-string-secret-at-least-256-bits-long",
            "please-CHANGE-ME-please-please-please-please", "31-characters-are-not-enough-ab",
        ],
    )  # fmt: skip
    def test_a_weak_secret_is_rejected_and_not_shown(self, secret: str) -> None:
        fault = only_fault(mode="production", jwt_secret=secret)
        assert fault.startswith("RTSERVER_JWT_SECRET is weak")
        assert secret not in fault.replace("RTSERVER_JWT_SECRET", "")

    def test_each_of_several_secrets_must_be_strong(self) -> None:
        assert "(secret 2 of 2) is weak" in only_fault(mode="production", jwt_secret=f"{STRONG},weak")

    def test_longer_hashes_need_longer_secrets(self) -> None:
        secret = STRONG[:40]
        Settings(mode="production", jwt_secret=secret)
        assert "HS512 needs 64" in only_fault(mode="production", jwt_secret=secret, jwt_algorithms="HS512")

    @pytest.mark.parametrize("origins", ["*", "https://example.com,*", "null"])
    def test_open_origins_are_rejected(self, origins: str) -> None:
        fault = only_fault(mode="production", jwt_secret=STRONG, cors_origins=origins)
        assert fault.startswith("RTSERVER_CORS_ORIGINS must")
        fault = only_fault(mode="production", jwt_secret=STRONG, cors_origins=origins, jwt_cookie="token")
        assert fault.startswith("RTSERVER_CORS_ORIGINS must")
        # Browsers add the cookie for every page, in development too.
        assert "RTSERVER_JWT_COOKIE" in only_fault(cors_origins=origins, jwt_cookie="token")

    def test_a_short_api_key_is_rejected_and_not_shown(self) -> None:
        fault = only_fault(mode="production", jwt_secret=STRONG, api_key="kurzkurz")
        assert fault.startswith("RTSERVER_API_KEY is weak")
        assert "kurzkurz" not in fault


class TestBothModes:
    @pytest.mark.parametrize("mode", ["development", "production"])
    def test_several_workers_need_redis(self, mode: str) -> None:
        assert only_fault(mode=mode, jwt_secret=STRONG, workers=2).startswith("RTSERVER_REDIS_URL is missing")
        Settings(mode=mode, jwt_secret=STRONG, workers=2, redis_url="redis://localhost")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("jwt_jwks_url", "https://issuer.example/keys"), ("redis_adapter", "streams")],
    )
    def test_settings_of_a_later_release_are_rejected(self, name: str, value: str) -> None:
        assert "comes with a later release" in only_fault(**{name: value}).replace("come with", "comes with")

    def test_webhooks_must_be_signed_and_encrypted(self) -> None:
        url, secret = "https://backend.example.com/hook?token=x", "whsec_" + "QUFB" * 11
        production = {"mode": "production", "jwt_secret": STRONG}
        assert only_fault(**production, webhook_url=url).startswith("RTSERVER_WEBHOOK_SECRET is missing")
        bare = {"webhook_url": "http://backend.example.com", "webhook_secret": secret}
        assert only_fault(**production, **bare).startswith("RTSERVER_WEBHOOK_URL must begin with https://")
        settings = Settings(**production, webhook_url=url, webhook_secret=f"{secret},{secret[:-4]}")
        assert len(settings.webhook_secret) == 2
        assert "token=x" not in repr(settings)
        assert "QUFB" not in repr(settings)
        Settings(**production, webhook_url="http://127.0.0.1:9000/hook", webhook_secret=secret)
        Settings(webhook_url="http://mailer:9000/hook")

    def test_the_secret_of_the_cluster_must_be_strong(self) -> None:
        assert only_fault(cluster_secret=f"{STRONG},short").startswith("RTSERVER_CLUSTER_SECRET is weak")
        assert len(Settings(cluster_secret=f"{STRONG},{STRONG[::-1]}").cluster_secret) == 2

    def test_algorithms_must_fit_the_keys(self) -> None:
        assert "ES256 fits none" in only_fault(jwt_secret=STRONG, jwt_algorithms="HS256,ES256")
        assert "every key" in only_fault(jwt_secret=STRONG, jwt_public_key=P256, jwt_algorithms="HS256")

    def test_a_private_key_is_rejected_and_not_shown(self) -> None:
        private = (
            ed25519.Ed25519PrivateKey.generate()
            .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            .decode()
        )
        fault = only_fault(jwt_public_key=private)
        assert "private key" in fault
        assert private.splitlines()[1] not in fault

    def test_a_short_rsa_key_is_rejected(self) -> None:
        assert "1024 bits" in only_fault(jwt_public_key=pem(rsa.generate_private_key(65537, 1024)))


class TestKeys:
    def test_several_secrets_all_verify_and_the_first_one_signs(self) -> None:
        settings = Settings(jwt_secret=f"{STRONG} , {STRONG[::-1]}")
        assert settings.signing_secret() == STRONG
        assert [key.material for key in settings.jwt_keys()] == [STRONG.encode(), STRONG[::-1].encode()]

    def test_a_key_is_used_only_with_algorithms_of_its_type(self) -> None:
        settings = Settings(jwt_secret=STRONG, jwt_public_key=P256 + ED25519)
        assert [key.algorithms for key in settings.jwt_keys()] == [("HS256",), ("ES256",), ("EdDSA",)]

    def test_a_pem_may_be_text_or_a_file_or_have_escaped_line_breaks(self) -> None:
        Path("key.pem").write_text(P256)
        for value in (P256, P256.replace("\n", "\\n"), "key.pem"):
            assert Settings(jwt_public_key=value).algorithms == ("ES256",)

    def test_a_server_with_only_public_keys_cannot_sign(self) -> None:
        with pytest.raises(ConfigError, match="cannot make them"):
            Settings(jwt_public_key=P256).signing_secret()


class TestDevelopment:
    def test_the_made_secret_survives_a_restart_and_is_readable_by_its_user_only(self, tmp_path: Path) -> None:
        first, again = Settings(), Settings()
        assert first.signing_secret() == again.signing_secret()
        assert (tmp_path / "var" / "dev-secret").stat().st_mode & 0o777 == 0o600
        assert [path.name for path in (tmp_path / "var").iterdir()] == ["dev-secret"]

    def test_each_data_folder_has_its_own_secret(self, tmp_path: Path) -> None:
        assert Settings(data_dir="a").signing_secret() != Settings(data_dir="b").signing_secret()

    def test_reading_the_settings_writes_nothing(self, tmp_path: Path) -> None:
        Settings()
        assert list(tmp_path.iterdir()) == []

    def test_a_damaged_secret_is_a_fault(self, tmp_path: Path) -> None:
        (tmp_path / "var").mkdir()
        (tmp_path / "var" / "dev-secret").write_text("")
        with pytest.raises(ConfigError, match="damaged"):
            Settings().signing_secret()

    def test_unsafe_settings_are_warned_of(self) -> None:
        warned = "\n".join(Settings(host="0.0.0.0", cors_origins="*", jwt_secret="short", jwt_query="on").warnings())
        for name in ("MODE", "HOST", "CORS_ORIGINS", "JWT_SECRET", "JWT_QUERY"):
            assert f"RTSERVER_{name} is" in warned, name

    @pytest.mark.parametrize("url", ["redis://:hush@localhost", "redis://localhost/0?password=hush"])
    def test_a_password_in_a_flag_is_warned_of(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        [warning] = Settings(mode="production", jwt_secret=STRONG, redis_url=url).warnings()
        assert warning.startswith("RTSERVER_REDIS_URL was given as a flag")
        assert "hush" not in warning
        monkeypatch.setenv("RTSERVER_REDIS_URL", url)
        assert Settings(mode="production", jwt_secret=STRONG).warnings() == []

    @pytest.mark.parametrize("networks", ["0.0.0.0/0", "10.0.0.0/8,::/0"])
    def test_trusting_every_address_as_a_proxy_is_warned_of(self, networks: str) -> None:
        [warning] = Settings(mode="production", jwt_secret=STRONG, trusted_proxies=networks).warnings()
        assert warning.startswith("RTSERVER_TRUSTED_PROXIES")

    def test_a_setting_without_effect_is_warned_of_only_where_it_was_set(self) -> None:
        [warning] = Settings(mode="production", jwt_secret=STRONG, recovery_seconds=60).warnings()
        assert warning.startswith("RTSERVER_RECOVERY_SECONDS has no effect yet")
        assert Settings(mode="production", jwt_secret=STRONG, recovery_seconds=0).warnings() == []

    def test_a_sound_production_server_has_no_warnings(self) -> None:
        assert Settings(mode="production", jwt_secret=STRONG, host="0.0.0.0").warnings() == []


class TestSecrecy:
    def test_no_fault_shows_a_secret_or_the_password_of_a_url(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RTSERVER_REDIS_URL", f"http://user:{PASSWORD}@host/0")
        monkeypatch.setenv("RTSERVER_DATABASE_URL", f"postgresql://user:{PASSWORD}@[host:bad/db")
        monkeypatch.setenv("RTSERVER_JWT_JWKS_URL", f"http://user:{PASSWORD}@host/keys")
        monkeypatch.setenv("RTSERVER_JWT_SECRET", PASSWORD)
        monkeypatch.setenv("RTSERVER_API_KEY", f"{PASSWORD} ")
        monkeypatch.setenv("RTSERVER_JWT_PUBLIC_KEY", PASSWORD)
        monkeypatch.setenv("RTSERVER_MODE", "production")
        with pytest.raises(ConfigError) as caught:
            Settings()
        assert PASSWORD not in str(caught.value)
        assert caught.value.__cause__ is None
        assert len(caught.value.faults) >= 4

    def test_printed_settings_show_no_secret(self) -> None:
        settings = Settings(
            jwt_secret=STRONG, api_key=STRONG, redis_url=f"redis://:{PASSWORD}@h", database_url=f"postgres://u:{PASSWORD}@h/d"
        )  # fmt: skip
        for shown in (repr(settings), str(settings), repr(settings.model_dump()), repr(settings.found("redis_url"))):
            assert STRONG not in shown
            assert PASSWORD not in shown


class TestReference:
    def test_the_reference_page_is_up_to_date(self) -> None:
        """`rtserver config doc > docs/settings.md` updates it."""
        assert (ROOT / "docs" / "settings.md").read_text() == markdown()

    def test_every_setting_is_documented_once(self) -> None:
        named = [name for names in GROUPS.values() for name in names]
        assert sorted(named) == sorted(Settings.model_fields)
        assert all(descriptions()[name] for name in Settings.model_fields)
