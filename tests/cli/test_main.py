"""The command line: what it prints, on which stream, and with which exit code it ends."""

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from rtserver.auth.keys import secret_keys
from rtserver.auth.verifier import TokenVerifier
from rtserver.config.dev_secret import dev_secret, fingerprint
from rtserver.store.db import migrate
from tests.cli.test_dev_server import ready_tokens
from tests.support.ports import free_port
from tests.support.repository import ROOT

RTSERVER = Path(sys.executable).with_name("rtserver")
PICKY = """
from rtserver import Namespace
from rtserver.errors import ConfigError


class Picky(Namespace, path="/picky"):
    async def on_start(self) -> None:
        raise ConfigError(["PICKY_KEY is missing."])
"""
TWINS = """
from rtserver import Namespace


class One(Namespace, path="/shop"): ...
class Two(Namespace, path="/shop"): ...
"""
NO_REDIS = {"REDIS_URL": "redis://127.0.0.1:1/0"}
STRONG = "3f9c1e07b5a84d62" * 4
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")


class Result:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr


def rtserver(*arguments: str, folder: Path, **settings: str) -> Result:
    """Run the command in a folder, with RTSERVER_ before the name of each setting."""
    env = {name: os.environ[name] for name in INHERITED if name in os.environ}
    env |= {f"RTSERVER_{name}": value for name, value in settings.items()} | {"COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run([RTSERVER, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    result = Result(done)
    assert "Traceback" not in result.err
    return result


class TestToken:
    def test_nothing_but_the_token_is_on_standard_output(self, tmp_path: Path) -> None:
        result = rtserver(
            "token", "--sub", "alice", "--name", "Alice", "--role", "admin", "--role", "moderator", "--ttl", "2h",
            folder=tmp_path, JWT_SECRET=f"{STRONG},{STRONG[::-1]}", JWT_AUDIENCE="app", JWT_ISSUER="https://me.test",
        )  # fmt: skip
        assert (result.code, result.err, result.out.count("\n")) == (0, "", 1)
        claims = jwt.decode(result.out.strip(), STRONG, algorithms=["HS256"], audience="app", issuer="https://me.test")
        assert (claims["sub"], claims["name"], claims["roles"]) == ("alice", "Alice", ["admin", "moderator"])
        assert claims["exp"] - claims["iat"] == 7200

    @pytest.mark.parametrize("place", ["same folder", "data folder named"])
    async def test_a_development_server_with_that_folder_accepts_it(self, tmp_path: Path, place: str) -> None:
        secret = dev_secret(tmp_path / "var")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        named = place == "data folder named"
        result = rtserver(
            "token", "--sub", "alice", *(["--data-dir", "../var"] if named else []),
            folder=elsewhere if named else tmp_path, PORT=str(free_port()),
        )  # fmt: skip
        assert result.code == 0
        assert (await TokenVerifier(secret_keys([secret])).verify(result.out.strip())).user == "alice"
        assert result.err.startswith("Signed with the secret in ")
        assert "warning" not in result.err
        assert list(elsewhere.iterdir()) == []

    def test_without_a_secret_it_fails_and_makes_none(self, tmp_path: Path) -> None:
        """No server could accept such a token."""
        result = rtserver("token", "--sub", "alice", folder=tmp_path, PORT=str(free_port()))
        assert (result.code, result.out) == (2, "")
        assert f"there is no {tmp_path}/var/dev-secret" in result.err
        assert "--data-dir" in result.err
        assert list(tmp_path.iterdir()) == []

    async def test_a_token_that_the_running_server_would_reject_is_not_printed(self, tmp_path: Path) -> None:
        dev_secret(tmp_path / "var")
        async with ready_tokens({"error": {"details": {"secret": fingerprint(STRONG)}}}) as port:
            result = await asyncio.to_thread(rtserver, "token", "--sub", "alice", "--port", str(port), folder=tmp_path)
        assert (result.code, result.out) == (2, "")
        assert f"The server at 127.0.0.1:{port} would reject this token" in result.err
        assert "--data-dir" in result.err

    def test_it_is_signed_with_the_algorithm_that_the_server_accepts(self, tmp_path: Path) -> None:
        result = rtserver("token", "--sub", "a", folder=tmp_path, JWT_SECRET=STRONG, JWT_ALGORITHMS="HS512")
        assert jwt.get_unverified_header(result.out.strip())["alg"] == "HS512"

    @pytest.mark.parametrize("ttl", ["soon", "0", "-1h", "1y", "1.5h", ""])
    def test_an_invalid_lifetime_is_explained(self, tmp_path: Path, ttl: str) -> None:
        result = rtserver("token", "--sub", "alice", "--ttl", ttl, folder=tmp_path)
        assert (result.code, result.out) == (2, "")
        assert "--ttl must be" in result.err

    @pytest.mark.parametrize("sub", ["", "a\nb", "x" * 201])
    def test_a_token_that_servers_would_reject_is_not_made(self, tmp_path: Path, sub: str) -> None:
        result = rtserver("token", "--sub", sub, folder=tmp_path)
        assert (result.code, result.out) == (2, "")
        assert "sub must" in result.err

    @pytest.mark.parametrize(
        ("flag", "value", "told"), [("--name", "a\nb", "name must"), ("--ttl", "99999999w", "of exp")]
    )
    def test_a_token_that_servers_would_change_is_not_made(
        self, tmp_path: Path, flag: str, value: str, told: str
    ) -> None:
        result = rtserver("token", "--sub", "alice", flag, value, folder=tmp_path)
        assert (result.code, result.out) == (2, "")
        assert told in result.err

    def test_a_missing_user_is_wrong_usage(self, tmp_path: Path) -> None:
        result = rtserver("token", folder=tmp_path)
        assert (result.code, result.out) == (2, "")
        assert "--sub" in result.err

    def test_a_server_with_only_public_keys_makes_no_tokens(self, tmp_path: Path) -> None:
        public = ed25519.Ed25519PrivateKey.generate().public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        (tmp_path / "key.pem").write_bytes(public.public_bytes(serialization.Encoding.PEM, form))
        result = rtserver("token", "--sub", "a", folder=tmp_path, JWT_PUBLIC_KEY="key.pem")
        assert (result.code, result.out) == (2, "")
        assert "checks tokens, and cannot make them" in result.err

    def test_faults_in_the_settings_are_listed(self, tmp_path: Path) -> None:
        result = rtserver("token", "--sub", "a", folder=tmp_path, MODE="production", JWT_SECRET="weakling")
        assert (result.code, result.out) == (2, "")
        assert "RTSERVER_JWT_SECRET is weak" in result.err
        assert "weakling" not in result.err


class TestConfig:
    def test_check_lists_every_fault(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("RTSERVER_CORS_ORIGIN=x\n")
        result = rtserver("config", "check", folder=tmp_path, MODE="production", PORT="x", CORS_ORIGINS="*")
        assert (result.code, result.out) == (1, "")
        assert "4 faults" in result.err
        for name in ("CORS_ORIGIN is not", "PORT must", "JWT_SECRET is missing", "CORS_ORIGINS must"):
            assert f"  - RTSERVER_{name}" in result.err

    def test_check_accepts_good_settings(self, tmp_path: Path) -> None:
        result = rtserver("config", "check", "--mode", "production", folder=tmp_path, JWT_SECRET=STRONG)
        assert (result.code, result.err) == (0, "")
        assert "good for production" in result.out

    def test_check_warns_of_development_mode_and_writes_nothing(self, tmp_path: Path) -> None:
        result = rtserver("config", "check", folder=tmp_path)
        assert result.code == 0
        assert "warning: RTSERVER_MODE is development" in result.err
        assert list(tmp_path.iterdir()) == []

    def test_check_loads_what_serve_loads(self, tmp_path: Path) -> None:
        (tmp_path / "shop.py").write_text(TWINS)
        result = rtserver("config", "check", "--connect", folder=tmp_path, NAMESPACES="shop:One,shop:Two", **NO_REDIS)
        assert (result.code, result.out) == (1, "")
        assert "  - RTSERVER_NAMESPACES: two namespaces claim /shop, One and Two:" in result.err
        assert "  - Redis at redis://127.0.0.1:1/0 cannot be used: " in result.err
        assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["shop.py"]

    def test_env_shows_values_and_sources_but_no_secret(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("RTSERVER_LOG_LEVEL=debug\n")
        result = rtserver(
            "config", "env", "--port", "9000",
            folder=tmp_path, JWT_SECRET=f"{STRONG},{STRONG[::-1]}", API_KEY=STRONG, REDIS_URL="redis://u:pass-w0rd@h/0",
            DATABASE_URL="postgresql://h/name?user=u&password=pass-w0rd&sslmode=require",
        )  # fmt: skip
        assert (result.code, result.err) == (0, "")
        lines = {line.split("=")[0]: " ".join(line.split()) for line in result.out.splitlines()}
        assert lines["RTSERVER_PORT"] == "RTSERVER_PORT=9000 # flag"
        assert lines["RTSERVER_LOG_LEVEL"] == "RTSERVER_LOG_LEVEL=debug # .env"
        assert lines["RTSERVER_JWT_SECRET"] == "RTSERVER_JWT_SECRET=[hidden],[hidden] # environment"
        assert lines["RTSERVER_REDIS_URL"] == "RTSERVER_REDIS_URL=redis://u:[hidden]@h/0 # environment"
        assert "password=[hidden]&sslmode=require #" in lines["RTSERVER_DATABASE_URL"]
        assert lines["RTSERVER_HOST"] == "RTSERVER_HOST=127.0.0.1 # default"
        for secret in (STRONG, STRONG[::-1], "pass-w0rd"):
            assert secret not in result.out

    def test_doc_prints_the_reference_page(self, tmp_path: Path) -> None:
        result = rtserver("config", "doc", folder=tmp_path, PORT="wrong")
        assert (result.code, result.out) == (0, (ROOT / "docs" / "settings.md").read_text())


class TestDatabase:
    def test_upgrade_makes_the_tables_and_may_be_repeated(self, tmp_path: Path) -> None:
        settings = {"MODE": "production", "JWT_SECRET": STRONG, "DATABASE_URL": f"sqlite:///{tmp_path}/new/x.db"}
        newest, told = migrate.plan_from(None).after, []
        dry = rtserver("db", "upgrade", "--dry-run", folder=tmp_path, **settings)
        assert (dry.code, list(tmp_path.iterdir())) == (0, [])
        assert f"would be upgraded from no tables to revision {newest}:\n  0001 (" in dry.out
        assert dry.out.endswith("Nothing was changed: this was a dry run.\n")
        for _ in range(2):
            result = rtserver("db", "upgrade", folder=tmp_path, **settings)
            assert result.code == 0
            told.append(result.out)
        assert f"{settings['DATABASE_URL']} was upgraded from no tables to revision {newest}:\n  0001 (" in told[0]
        assert told[0].endswith("The database is up to date.\n")
        assert told[1].endswith(f"is at revision {newest}, there is nothing to do.\n")
        with sqlite3.connect(tmp_path / "new" / "x.db") as database:
            assert database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 1

    def test_an_unreachable_database_is_reported_in_a_sentence(self, tmp_path: Path) -> None:
        url = "postgresql://user:pass-w0rd@127.0.0.1:1/db"
        result = rtserver("db", "upgrade", folder=tmp_path, DATABASE_URL=url)
        assert (result.code, result.out) == (1, "")
        assert "The database cannot be upgraded" in result.err
        assert "pass-w0rd" not in result.err


class TestServe:
    def test_it_does_not_start_with_faults_in_the_settings(self, tmp_path: Path) -> None:
        result = rtserver("serve", "--mode", "production", "--port", "x", folder=tmp_path)
        assert (result.code, result.out) == (1, "")
        assert "RTSERVER_PORT must" in result.err
        assert "RTSERVER_JWT_SECRET is missing" in result.err

    def test_several_workers_without_redis_are_rejected_with_the_reason(self, tmp_path: Path) -> None:
        result = rtserver("serve", "--workers", "2", folder=tmp_path)
        assert result.code == 1
        assert "RTSERVER_REDIS_URL is missing" in result.err
        assert "would not hear of each other" in result.err

    def test_every_setting_but_secrets_is_a_flag(self, tmp_path: Path) -> None:
        text = rtserver("serve", "--help", folder=tmp_path).out
        for flag in ("--port", "--ping-interval", "--jwt-query", "--no-jwt-query", "--database-url", "--log-format"):
            assert flag in text, flag
        for secret in ("--jwt-secret", "--api-key", "--cluster-secret", "--webhook-secret"):
            assert secret not in text, secret

    def test_help_refers_to_pages_of_the_docs_by_their_file(self, tmp_path: Path) -> None:
        text = rtserver("serve", "--help", folder=tmp_path).out
        assert "docs/deploy.md" in text
        assert "docs/protocol.md" in text
        assert ".md#" not in text
        assert "(#" not in text

    def test_help_shows_the_whole_name_of_an_extra(self, tmp_path: Path) -> None:
        assert "rtserver[kafka]" in rtserver("serve", "--help", folder=tmp_path).out

    def test_a_port_in_use_is_reported_in_a_sentence(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            result = rtserver("serve", "--port", str(port), folder=tmp_path)
        assert (result.code, result.out) == (1, "")
        assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in result.err
        assert "choose another RTSERVER_PORT" in result.err

    def test_a_namespace_that_is_not_found_has_a_hint(self, tmp_path: Path) -> None:
        result = rtserver("serve", "--port", "0", folder=tmp_path, NAMESPACES="my_tracking:Tracking")
        assert result.code == 1
        assert "No module named 'my_tracking'. Is its folder on PYTHONPATH?" in result.err


WHY = "The log above has the reason; `rtserver config env` shows the settings in force."
FAULT = "There is a fault in the settings:\n  - "
REFUSALS = {
    "no tables": ({}, FAULT + "The database is not up to date. Run `rtserver db upgrade` first."),
    "no database": (
        {"DATABASE_URL": "postgresql://user:pass-w0rd@127.0.0.1:1/db"},
        "The server cannot start: The database is not available at the moment; try again. " + WHY,
    ),
    "no folder": (
        {"DATABASE_URL": "sqlite:////proc/nowhere/x.db"},
        "The server cannot start: The database is not available at the moment; try again. " + WHY,
    ),
    "a namespace": (
        NO_REDIS | {"MODE": "development", "NAMESPACES": "picky:Picky"},
        FAULT + "PICKY_KEY is missing.",
    ),
}


class TestRefusedStart:
    """What has been started by then is stopped silently: there is one sentence, and exit code 1."""

    @pytest.mark.parametrize("workers", ["1", "2"])
    @pytest.mark.parametrize("name", REFUSALS)
    def test_it_prints_a_sentence_and_ends_with_1(self, tmp_path: Path, name: str, workers: str) -> None:
        (tmp_path / "picky.py").write_text(PICKY)
        settings, sentence = REFUSALS[name]
        given = {"MODE": "production", "PORT": str(free_port()), "LOG_FORMAT": "json", "JWT_SECRET": STRONG}
        if workers != "1":
            given |= NO_REDIS | {"WORKERS": workers}
        result = rtserver("serve", folder=tmp_path, **(given | settings))
        told = [line for line in result.err.splitlines() if not line.startswith("{")]
        assert (result.code, result.out, "\n".join(told)) == (1, "", sentence)
        assert '"level":"error"' not in result.err
        assert "pass-w0rd" not in result.err


class TestHelp:
    def test_version(self, tmp_path: Path) -> None:
        result = rtserver("--version", folder=tmp_path)
        assert (result.code, result.out.split()[0]) == (0, "rtserver")

    def test_as_a_module(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "rtserver", "--version"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("rtserver ")

    def test_help_names_every_command_and_the_exit_codes(self, tmp_path: Path) -> None:
        text = rtserver("--help", folder=tmp_path).out
        for word in ("serve", "token", "config", "db", "Exit codes"):
            assert word in text

    @pytest.mark.parametrize("arguments", [["sreve"], ["serve", "--prot", "1"], ["config", "chek"]])
    def test_wrong_usage_ends_with_2(self, tmp_path: Path, arguments: list[str]) -> None:
        assert rtserver(*arguments, folder=tmp_path).code == 2
