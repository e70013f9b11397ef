"""Signatures of webhooks, against the example that Standard Webhooks publishes and against a reading of our own."""

import base64

import pytest

from tests.support.receivers import Told, verified
from towline.receivers.signing import secret_key, signature_headers

EXAMPLE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EXAMPLE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_the_example_of_the_specification_has_the_signature_of_the_specification() -> None:
    headers = signature_headers(EXAMPLE_ID, 1614265330, b'{"test": 2432232314}', [secret_key(EXAMPLE_SECRET)])
    assert headers == {
        "webhook-id": EXAMPLE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", ["plain text", "whsec_" + base64.b64encode(bytes(range(32))).decode()])
def test_whoever_has_the_secret_can_verify_and_nobody_else(secret: str) -> None:
    body = "grüße".encode()
    headers = signature_headers("an.id.with.dots", 5, body, [secret_key("another"), secret_key(secret)])
    told = Told("/", list(headers.items()), body)
    assert verified(told, secret)
    assert verified(told, "another")
    assert not verified(told, "a third")
    assert not verified(Told("/", list(headers.items()), body + b" "), secret)
    assert not verified(Told("/", list((headers | {"webhook-timestamp": "6"}).items()), body), secret)


def test_without_a_secret_there_is_an_id_and_no_signature() -> None:
    assert signature_headers("x", 5, b"", []) == {"webhook-id": "x", "webhook-timestamp": "5"}


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64", "whsec_canar"])
def test_a_secret_that_is_none_is_refused_without_being_told(secret: str) -> None:
    with pytest.raises(ValueError, match=r"empty|not base64") as refused:
        secret_key(secret)
    assert "canar" not in str(refused.value)
