"""rtserver/ingest/intake.py: what is asked for is carried out once, or put off, or refused; on both databases."""

import asyncio
from typing import Any

import pytest

from rtserver.clock import iso
from rtserver.errors import Conflict, EventError, InvalidPayload, NotFound, Unavailable
from rtserver.ingest.intake import FURTHEST_MS, IngestResult
from rtserver.store.messages.records import Member
from rtserver.store.notifications.records import NotificationDraft
from rtserver.store.rooms.room_store import Rooms
from tests.ingest.conftest import NOW, Backstage

NOTICE: dict[str, Any] = {"user": "ada", "type": "order", "message": "Shipped"}
MESSAGE: dict[str, Any] = {"room": "general", "from": {"id": "shop"}, "text": "Hello"}
EMIT: dict[str, Any] = {"namespace": "/chat", "event": "news"}
KINDS = [("notification", NOTICE), ("message", MESSAGE), ("emit", EMIT)]


def done(server: Backstage) -> int:
    return len(server.pushed + server.posted + server.emitted)


@pytest.mark.parametrize(("kind", "body"), KINDS)
async def test_the_same_key_and_body_are_carried_out_once(server: Backstage, kind: str, body: dict[str, Any]) -> None:
    first = await server.submit(kind, body | {"key": "k"})
    again = await server.submit(kind, dict(reversed((body | {"key": "k"}).items())))
    assert (first.new, again.new, done(server)) == (True, False, 1)
    assert again.message == first.message
    if first.notified:
        assert again.notified
        assert again.notified[0][1].id == first.notified[0][1].id


@pytest.mark.parametrize(("kind", "body"), KINDS)
async def test_the_same_key_with_another_body_is_a_conflict(server: Backstage, kind: str, body: dict[str, Any]) -> None:
    await server.submit(kind, body | {"key": "k"})
    other = body | {"key": "k"} | ({"event": "other"} if kind == "emit" else {"data": 1})
    with pytest.raises(Conflict):
        await server.submit(kind, other)
    assert done(server) == 1


@pytest.mark.parametrize(("kind", "body"), KINDS)
async def test_of_many_at_once_on_two_servers_one_is_carried_out(
    servers: list[Backstage], kind: str, body: dict[str, Any]
) -> None:
    submitting = [servers[at % 2].submit(kind, body | {"key": "k"}) for at in range(20)]
    taken = await asyncio.gather(*submitting)
    assert sum(map(done, servers)) == 1
    assert len({one.message.id if one.message else "" for one in taken}) == 1


async def test_fifty_at_once_on_two_servers_agree_whose_body_the_key_has(servers: list[Backstage]) -> None:
    bodies = [NOTICE | {"key": "k", "message": message} for message in ("Shipped", "Lost")]
    submitting = [servers[at % 2].submit("notification", bodies[at // 2 % 2]) for at in range(50)]
    taken = await asyncio.gather(*submitting, return_exceptions=True)
    told = [one.notified[0][1] for one in taken if isinstance(one, IngestResult) and one.notified]
    assert len(set(told)) == 1
    assert sum(isinstance(one, Conflict) for one in taken) == 50 - len(told)
    assert len(told) in (24, 25, 26)
    assert sum(one.new for one in taken if isinstance(one, IngestResult)) == 1
    assert [servers[0].pushed, servers[1].pushed].count([]) == 1
    assert (await servers[0].notifications.list("ada"))[0] == [told[0]]


async def test_one_bad_notification_among_many_at_once_fails_alone(servers: list[Backstage]) -> None:
    """Refused before the database saw it, by its key, and by an inbox that has its key from elsewhere."""
    await servers[0].notifications.add([NotificationDraft("ada", "order", "before", key="n7")])
    await servers[0].submit("notification", NOTICE | {"key": "n8"})
    bodies = [NOTICE | {"key": f"n{number}", "user": ("ada", "bob")[number % 2]} for number in range(60)]
    bodies[7] = bodies[7] | {"user": "ada"}
    bodies[9] = bodies[9] | {"message": "\ud800"}
    submitting = [servers[at % 2].submit("notification", body) for at, body in enumerate(bodies)]
    submitting.append(servers[0].submit("notification", NOTICE | {"user": "\ud800"}))
    taken = await asyncio.gather(*submitting, return_exceptions=True)
    refused = {at: type(one) for at, one in enumerate(taken) if isinstance(one, BaseException)}
    assert refused == {7: Conflict, 9: InvalidPayload, 60: InvalidPayload}
    for user, saved in (("ada", 2 + 29), ("bob", 28)):
        inbox, _ = await servers[0].notifications.list(user, limit=100)
        assert [one.seq for one in inbox] == list(range(saved, 0, -1))
    assert (await servers[1].submit("notification", bodies[7] | {"user": "bob"})).new, "the key is free"


async def test_a_notification_and_its_key_are_one_commit_and_many_share_it(server: Backstage) -> None:
    before = server.db.commits
    await server.submit("notification", NOTICE | {"key": "k"})
    assert server.db.commits == before + 1
    bodies = [NOTICE | {"user": f"u{number}", "key": f"k{number}"} for number in range(50)]
    await asyncio.gather(*(server.submit("notification", body) for body in bodies))
    assert server.db.commits <= before + 3
    await server.submit("notification", NOTICE | {"key": "many", "user": None, "users": ["u1"] * 9 + ["u2"] * 9})
    assert server.db.commits <= before + 4


@pytest.mark.parametrize(("kind", "body"), KINDS[:2])
async def test_what_a_crash_cut_short_is_made_good_by_asking_again(
    servers: list[Backstage], kind: str, body: dict[str, Any]
) -> None:
    """The key was entered, and then the database went."""
    servers[0].down = True
    with pytest.raises(Unavailable):
        await servers[0].submit(kind, body | {"key": "k"})
    assert (await servers[1].submit(kind, body | {"key": "k"})).new
    assert not (await servers[1].submit(kind, body | {"key": "k"})).new
    assert done(servers[1]) == 1


async def test_what_was_refused_leaves_its_key_free(server: Backstage) -> None:
    with pytest.raises(InvalidPayload):
        await server.submit("message", MESSAGE | {"key": "k", "room": "\ud800"})
    with pytest.raises(NotFound):
        await server.submit("emit", EMIT | {"key": "k", "namespace": "/nope"})
    await server.submit("message", MESSAGE | {"key": "k"})
    await server.submit("emit", EMIT | {"key": "k"})
    assert done(server) == 2


async def test_what_came_without_a_key_is_known_by_its_origin(servers: list[Backstage]) -> None:
    for kind, body in KINDS[:2]:
        for server in servers:
            await server.submit(kind, body, origin="stream:1-0")
    assert (servers[0].pushed, servers[0].posted) == (["ada:Shipped"], ["Hello"])
    assert done(servers[1]) == 0


async def test_a_room_or_everyone_is_told_once_each_and_counted(server: Backstage) -> None:
    rooms = Rooms(server.db)
    for number in range(5):
        await rooms.join("general", Member(f"u{number}", "U"))
    await server.submit("notification", NOTICE)
    to_room = {"type": "t", "message": "m", "room": "general", "key": "r"}
    assert (await server.submit("notification", to_room)).reached == 5
    await rooms.join("general", Member("late", "Late"))
    again = await server.submit("notification", to_room)
    assert (again.reached, again.new) == (5, False)
    assert (await server.submit("notification", {"type": "t", "message": "all", "everyone": True})).reached == 7
    assert len(server.pushed) == 1 + 5 + 7


@pytest.mark.parametrize(("kind", "body"), KINDS)
async def test_what_has_a_time_is_put_off_until_then(server: Backstage, kind: str, body: dict[str, Any]) -> None:
    nudged: list[int] = []
    server.intake.on_scheduled = nudged.append
    taken = await server.submit(kind, body | {"at": iso(NOW + 60_000), "key": "k"})
    assert taken.scheduled is not None
    assert (done(server), nudged, taken.scheduled[1]) == (0, [NOW + 60_000], iso(NOW + 60_000))
    again = await server.submit(kind, body | {"at": iso(NOW + 60_000), "key": "k"})
    assert (again.new, again.scheduled) == (False, taken.scheduled)
    with pytest.raises(Conflict):
        await server.submit(kind, body | {"at": iso(NOW + 90_000), "key": "k"})
    [later] = (await server.schedule.page())[0]
    assert later.kind == kind


async def test_what_is_due_already_is_carried_out_at_once(server: Backstage) -> None:
    for ago in (0, 1, 3_600_000):
        assert (await server.submit("emit", EMIT | {"at": NOW - ago})).scheduled is None
    assert server.emitted == ["news"] * 3


async def test_nothing_is_put_off_for_more_than_a_year(server: Backstage) -> None:
    assert (await server.submit("emit", EMIT | {"at": NOW + FURTHEST_MS})).scheduled
    with pytest.raises(InvalidPayload):
        await server.submit("emit", EMIT | {"at": NOW + FURTHEST_MS + 1})
    with pytest.raises(InvalidPayload):
        await server.submit("emit", EMIT | {"at": "9999-12-31T23:59:59Z"})


HOSTILE: list[Any] = [
    None, 5, "x", [], {}, {"kind": "emit"}, NOTICE | {"user": 5}, NOTICE | {"user": ""}, NOTICE | {"message": "\0"},
    NOTICE | {"message": "\ud800"}, NOTICE | {"key": "\ud800"}, NOTICE | {"key": "k" * 201}, NOTICE | {"key": ""},
    NOTICE | {"users": ["a"] * 1001, "user": None}, NOTICE | {"data": "x" * 17_000}, NOTICE | {"at": 1e30},
    NOTICE | {"expiresAt": "soon"}, NOTICE | {"everyone": "yes"}, NOTICE | {"$where": 1},
]  # fmt: skip


async def test_garbage_is_refused_and_leaves_nothing(server: Backstage) -> None:
    for body in HOSTILE:
        with pytest.raises(EventError) as caught:
            await server.submit("notification", body)
        assert caught.value.code in ("invalid_payload", "too_large"), body
    for kind in ("", "notifications", "Emit", "x" * 10_000):
        with pytest.raises(InvalidPayload, match="kind"):
            await server.submit(kind, EMIT)
    assert (done(server), (await server.schedule.page())[0]) == (0, [])
