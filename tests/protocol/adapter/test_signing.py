"""Messages between instances that are signed: who may say something, when, and how often."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.protocol.adapter.signing import SKEW, WINDOW, BadSignature, Seal

SECRET, OTHER = "a" * 16 + "b" * 16, "c" * 16 + "d" * 16


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_one_instance_signs_another_opens(clock: Clock) -> None:
    payload = Seal([SECRET], clock=clock).sign("room", b"hello")
    assert Seal([SECRET], clock=clock).verify("room", payload) == b"hello"


def test_a_message_is_opened_once(clock: Clock) -> None:
    seal = Seal([SECRET], clock=clock)
    payload = seal.sign("room", b"hello")
    seal.verify("room", payload)
    for later in (0, 1, WINDOW - 2):
        clock.now += later
        with pytest.raises(BadSignature):
            seal.verify("room", payload)


def test_a_restarted_instance_opens_nothing_that_the_one_before_it_may_have_opened(clock: Clock) -> None:
    old = Seal([SECRET], clock=clock)
    payload = old.sign("room", b"hello")
    clock.now += SKEW + 1
    restarted = Seal([SECRET], clock=clock)
    with pytest.raises(BadSignature, match="before the start"):
        restarted.verify("room", payload)
    assert restarted.verify("room", old.sign("room", b"hello")) == b"hello"
    clock.now -= SKEW / 2  # a clock that is a little behind
    assert restarted.verify("room", old.sign("room", b"hello")) == b"hello"


def test_a_clock_that_was_ahead_at_the_start_and_is_put_right_shuts_nobody_out_for_long(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now += 3600
    early = Seal([SECRET], clock=clock)
    clock.now -= 3600
    began = time.monotonic()
    monkeypatch.setattr("rtserver.protocol.adapter.signing.time.monotonic", lambda: began + WINDOW + 1)
    assert early.verify("room", Seal([SECRET], clock=clock).sign("room", b"hello")) == b"hello"


def test_a_clock_that_goes_ahead_and_is_put_right_shuts_nobody_out_for_long(clock: Clock) -> None:
    one, other, payloads = Seal([SECRET], clock=clock), Seal([SECRET], clock=clock), []

    def talk(seconds: int) -> None:
        for _ in range(seconds):
            clock.now += 1
            payloads.append(other.sign("room", b"hello"))
            assert one.verify("room", payloads[-1]) == b"hello"

    talk(5)
    clock.now += 3600
    talk(int(WINDOW) * 2)
    clock.now -= 3600
    with pytest.raises(BadSignature, match="seen before"):  # it cannot know any more
        one.verify("room", other.sign("room", b"hello"))
    talk(5)
    for payload in payloads:
        with pytest.raises(BadSignature):
            one.verify("room", payload)


def test_a_message_is_good_for_its_channel_only(clock: Clock) -> None:
    seal = Seal([SECRET], clock=clock)
    with pytest.raises(BadSignature, match="wrong signature"):
        seal.verify("room2", seal.sign("room", b"hello"))
    with pytest.raises(BadSignature, match="wrong signature"):
        seal.verify("roomh", seal.sign("room", b"hello")[:-5] + b"ello")


@pytest.mark.parametrize("seconds", [-WINDOW - 1, WINDOW + 1])
def test_a_message_from_another_time_is_refused(clock: Clock, seconds: float) -> None:
    payload = Seal([SECRET], clock=clock).sign("room", b"hello")
    clock.now += seconds
    with pytest.raises(BadSignature, match="too old"):
        Seal([SECRET], clock=clock).verify("room", payload)


def test_every_changed_byte_is_noticed(clock: Clock) -> None:
    seal = Seal([SECRET], clock=clock)
    payload = seal.sign("room", b"hello")
    for place in range(len(payload)):
        changed = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        with pytest.raises(BadSignature):
            seal.verify("room", changed)
    assert seal.verify("room", payload) == b"hello"


@given(st.binary(max_size=200), st.text(max_size=20))
def test_garbage_is_refused_and_nothing_else_happens(garbage: bytes, channel: str) -> None:
    seal = Seal([SECRET])
    for payload in (garbage, b"\xc1rt1" + garbage, seal.sign(channel, b"")[:-1]):
        with pytest.raises(BadSignature):
            seal.verify(channel, payload)


def test_a_secret_is_changed_without_a_pause(clock: Clock) -> None:
    """The new one is added behind the old one everywhere, then put first, then the old one is taken away."""
    old, both, turned, new = ([SECRET], [SECRET, OTHER], [OTHER, SECRET], [OTHER])
    for senders, receivers in ((old, both), (both, old), (both, turned), (turned, both), (turned, new), (new, turned)):
        payload = Seal(senders, clock=clock).sign("room", b"hello")
        assert Seal(receivers, clock=clock).verify("room", payload) == b"hello"
    with pytest.raises(BadSignature):
        Seal(new, clock=clock).verify("room", Seal(old, clock=clock).sign("room", b"hello"))


def test_what_is_remembered_is_bounded_and_nothing_gets_in_twice(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtserver.protocol.adapter.signing.MAX_REMEMBERED", 10)
    seal, payloads = Seal([SECRET], clock=clock), []
    for _ in range(20):
        payloads.append(seal.sign("room", b"hello"))
        seal.verify("room", payloads[-1])
        clock.now += 1
    for payload in payloads:
        with pytest.raises(BadSignature):
            seal.verify("room", payload)


def test_no_secret_is_shown() -> None:
    assert SECRET not in repr(Seal([SECRET]))
