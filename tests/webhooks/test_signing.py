"""Webhook signatures: those of Standard Webhooks, which its libraries can verify."""

from rtserver.auth.keys import webhook_key
from rtserver.webhooks.signing import headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_example_of_the_public_libraries() -> None:
    body = b'{"test": 2432232314}'
    told = headers([webhook_key(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert told == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_there_is_one_signature_for_each_secret_and_none_without() -> None:
    both = headers([b"a" * 24, b"b" * 24], "id", 1, b"")["webhook-signature"].split(" ")
    assert len(set(both)) == 2
    assert "webhook-signature" not in headers([], "id", 1, b"")
