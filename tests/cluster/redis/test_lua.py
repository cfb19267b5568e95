"""Lua scripts: what is sent is the text of the files, without comments."""

from importlib.resources import files

import pytest

from rtserver.cluster.presence import room_scripts, scripts
from rtserver.cluster.redis.lua import load_script
from rtserver.ingest import redis_stream_commands


def test_comments_are_not_sent_and_parts_are_joined_in_order() -> None:
    script = load_script(scripts.PACKAGE, "prelude", "leave")
    assert script.startswith("local p = KEYS[1]\n")
    assert script.endswith("return redis.status_reply('OK')\n")
    assert "--" not in script
    assert "\n\n" not in script


@pytest.mark.parametrize("module", [scripts, room_scripts, redis_stream_commands])
def test_every_script_file_is_sent_by_some_script(module: object) -> None:
    package = getattr(module, "__package__", "")
    used = "".join(value for value in vars(scripts).values() if isinstance(value, str))
    used += "".join(value for value in vars(room_scripts).values() if isinstance(value, str))
    used += "".join(value for value in vars(redis_stream_commands).values() if isinstance(value, str))
    names = [file.name.removesuffix(".lua") for file in (files(package) / "lua").iterdir()]
    assert names
    for name in names:
        assert load_script(package, name) in used, name
