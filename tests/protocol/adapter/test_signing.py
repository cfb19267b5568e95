"""Message signing: which messages are accepted, when, and how often."""

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


def test_a_message_signed_by_one_instance_is_verified_by_another(clock: Clock) -> None:
    payload = Seal([SECRET], clock=clock).sign("room", b"hello")
    assert Seal([SECRET], clock=clock).verify("room", payload) == b"hello"


def test_a_message_is_accepted_once(clock: Clock) -> None:
    seal = Seal([SECRET], clock=clock)
    payload = seal.sign("room", b"hello")
    seal.verify("room", payload)
    for later in (0, 1, WINDOW - 2):
        clock.now += later
        with pytest.raises(BadSignature):
            seal.verify("room", payload)


def test_a_restarted_instance_rejects_messages_from_before_its_start(clock: Clock) -> None:
    old = Seal([SECRET], clock=clock)
    payload = old.sign("room", b"hello")
    clock.now += SKEW + 1
    restarted = Seal([SECRET], clock=clock)
    with pytest.raises(BadSignature, match="before the start"):
        restarted.verify("room", payload)
    assert restarted.verify("room", old.sign("room", b"hello")) == b"hello"
    clock.now -= SKEW / 2  # a clock that is a little behind
    assert restarted.verify("room", old.sign("room", b"hello")) == b"hello"


def test_after_correcting_a_clock_that_was_ahead_at_the_start_messages_are_soon_accepted(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now += 3600
    early = Seal([SECRET], clock=clock)
    clock.now -= 3600
    began = time.monotonic()
    monkeypatch.setattr("rtserver.protocol.adapter.signing.time.monotonic", lambda: began + WINDOW + 1)
    assert early.verify("room", Seal([SECRET], clock=clock).sign("room", b"hello")) == b"hello"


def test_after_correcting_a_clock_that_went_ahead_messages_are_soon_accepted(clock: Clock) -> None:
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


def test_a_message_is_valid_on_its_channel_only(clock: Clock) -> None:
    seal = Seal([SECRET], clock=clock)
    with pytest.raises(BadSignature, match="wrong signature"):
        seal.verify("room2", seal.sign("room", b"hello"))
    with pytest.raises(BadSignature, match="wrong signature"):
        seal.verify("roomh", seal.sign("room", b"hello")[:-5] + b"ello")


@pytest.mark.parametrize("seconds", [-WINDOW - 1, WINDOW + 1])
def test_a_message_outside_the_time_window_is_rejected(clock: Clock, seconds: float) -> None:
    payload = Seal([SECRET], clock=clock).sign("room", b"hello")
    clock.now += seconds
    with pytest.raises(BadSignature, match="too old"):
        Seal([SECRET], clock=clock).verify("room", payload)


def test_every_changed_byte_is_detected(clock: Clock) -> None:
    seal = Seal([SECRET], clock=clock)
    payload = seal.sign("room", b"hello")
    for place in range(len(payload)):
        changed = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        with pytest.raises(BadSignature):
            seal.verify("room", changed)
    assert seal.verify("room", payload) == b"hello"


@given(st.binary(max_size=200), st.text(max_size=20))
def test_garbage_raises_bad_signature_only(garbage: bytes, channel: str) -> None:
    seal = Seal([SECRET])
    for payload in (garbage, b"\xc1rt1" + garbage, seal.sign(channel, b"")[:-1]):
        with pytest.raises(BadSignature):
            seal.verify(channel, payload)


def test_a_secret_is_rotated_without_interruption(clock: Clock) -> None:
    """The new secret is added behind the old one everywhere, then moved to the front, then the old one is removed."""
    old, both, turned, new = ([SECRET], [SECRET, OTHER], [OTHER, SECRET], [OTHER])
    for senders, receivers in ((old, both), (both, old), (both, turned), (turned, both), (turned, new), (new, turned)):
        payload = Seal(senders, clock=clock).sign("room", b"hello")
        assert Seal(receivers, clock=clock).verify("room", payload) == b"hello"
    with pytest.raises(BadSignature):
        Seal(new, clock=clock).verify("room", Seal(old, clock=clock).sign("room", b"hello"))


def test_remembered_nonces_are_bounded_and_no_message_is_accepted_twice(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
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
