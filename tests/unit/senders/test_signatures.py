"""Senders that sign (S07): the bytes that arrived, with the agreed secret and algorithm, in time."""

import base64
import hashlib
import hmac

import pytest

from tests.unit.senders.heads import NOW, accepts, head
from towline.receivers.signing import secret_key, signature_headers
from towline.senders.scheme import Head
from towline.senders.signatures import HmacHeader, StandardWebhook

SECRET = b"It's a Secret to Everybody"
BODY = b"Hello, World!"
#: The example of "Validating webhook deliveries" in GitHub's documentation.
GITHUB = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
FOX = b"The quick brown fox jumps over the lazy dog"

BY_GITHUB = HmacHeader("X-Hub-Signature-256", "sha256", [SECRET])
BY_NEXUS = HmacHeader("X-Nexus-Webhook-Signature", "sha1", [b"key"])
BY_JFROG = HmacHeader("X-JFrog-Event-Auth", "sha256", [b"key"])


def signed(value: str | bytes) -> Head:
    return head(("x-hub-signature-256", value))


async def test_the_vendors_own_signatures_count() -> None:
    assert await accepts(BY_GITHUB, signed(f"sha256={GITHUB}"), BODY)
    assert await accepts(BY_NEXUS, head(("X-Nexus-Webhook-Signature", "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9")), FOX)
    assert await accepts(
        BY_JFROG,
        head(("X-JFrog-Event-Auth", "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8")),
        FOX,
    )


@pytest.mark.parametrize(
    "given",
    [
        head(),
        head(("x-hub-signature", f"sha256={GITHUB}")),
        signed(""),
        signed("sha256="),
        signed(f"sha1={GITHUB}"),
        signed(f"sha512={GITHUB}"),
        signed(f"none={GITHUB}"),
        signed(f"SHA256={GITHUB}"),
        signed(f"sha256={GITHUB.upper()}"),
        signed(f"sha256={GITHUB[:-2]}"),
        signed(f"sha256={GITHUB}00"),
        signed(f"sha256={GITHUB} "),
        signed(f"sha256={GITHUB},sha256={GITHUB}"),
        signed(f"sha256={'0' * 64}"),
        signed(f"sha256={GITHUB[:-1]}\u00e9"),
        signed(b"\xff" * 64),
        head(("x-hub-signature-256", f"sha256={GITHUB}"), ("x-hub-signature-256", f"sha256={GITHUB}")),
        head(("x-hub-signature-256", f"sha256={'0' * 64}"), ("x-hub-signature-256", f"sha256={GITHUB}")),
        # A hash of secret and body could be continued by somebody who knows neither.
        signed(f"sha256={hashlib.sha256(SECRET + BODY).hexdigest()}"),
        signed(f"sha256={hashlib.sha256(BODY + SECRET).hexdigest()}"),
        # Another algorithm with the right secret.
        signed(hmac.digest(SECRET, BODY, "sha1").hex()),
        signed(f"sha256={hmac.digest(b'', BODY, 'sha256').hex()}"),
    ],
)
async def test_no_other_signature_counts(given: Head) -> None:
    assert not await accepts(BY_GITHUB, given, BODY)


@pytest.mark.parametrize(
    "body", [b"", BODY + b"\n", b"Hello,  World!", BODY[:-1], BODY + b"\x80" + b"\0" * 50 + b"more"]
)
async def test_a_body_that_was_written_otherwise_is_another_one(body: bytes) -> None:
    assert not await accepts(BY_GITHUB, signed(f"sha256={GITHUB}"), body)


async def test_the_same_json_with_other_spaces_is_another_body() -> None:
    signature = hmac.digest(SECRET, b'{"a":1}', "sha256").hex()
    made = f"sha256={signature}"
    assert await accepts(BY_GITHUB, signed(made), b'{"a":1}')
    assert not await accepts(BY_GITHUB, signed(made), b'{"a": 1}')


async def test_an_absent_signature_is_refused_before_the_body_and_a_wrong_one_after_it() -> None:
    assert not await BY_GITHUB.admits(head())
    assert await BY_GITHUB.admits(signed(f"sha256={'0' * 64}"))


async def test_while_a_secret_is_replaced_either_counts() -> None:
    both = HmacHeader("x-hub-signature-256", "sha256", [b"new", SECRET])
    assert await accepts(both, signed(f"sha256={GITHUB}"), BODY)
    assert await accepts(both, signed(f"sha256={hmac.digest(b'new', BODY, 'sha256').hex()}"), BODY)
    assert not await accepts(HmacHeader("x-hub-signature-256", "sha256", [b"new"]), signed(f"sha256={GITHUB}"), BODY)


#: The example of the Standard Webhooks specification and its libraries.
KEY = secret_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
MOMENT = 1_614_265_330
MESSAGE = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
STANDARD = StandardWebhook([KEY], 300)


def standard(name: str = ID, moment: str = str(MOMENT), signature: str = SIGNATURE, now: float = MOMENT) -> Head:
    return head(("webhook-id", name), ("webhook-timestamp", moment), ("webhook-signature", signature), now=now)


@pytest.mark.parametrize("now", [MOMENT, MOMENT + 300, MOMENT - 300, MOMENT + 299.9])
async def test_the_example_of_standard_webhooks_counts_within_the_tolerance(now: float) -> None:
    assert await accepts(STANDARD, standard(now=now), MESSAGE)


@pytest.mark.parametrize("now", [MOMENT + 300.1, MOMENT - 300.1, MOMENT + 86_400, 0])
async def test_an_old_one_and_one_of_the_future_do_not(now: float) -> None:
    assert not await STANDARD.admits(standard(now=now))


@pytest.mark.parametrize(
    "given",
    [
        head(("webhook-id", ID), ("webhook-timestamp", str(MOMENT)), now=MOMENT),
        head(("webhook-id", ID), ("webhook-signature", SIGNATURE), now=MOMENT),
        head(("webhook-timestamp", str(MOMENT)), ("webhook-signature", SIGNATURE), now=MOMENT),
        standard(name=""),
        standard(name=f"{ID}x"),
        standard(name=f"{ID}\u00e9"),
        standard(moment=str(MOMENT + 1)),
        standard(moment=f"+{MOMENT}"),
        standard(moment=f"{MOMENT}.0"),
        standard(moment=f" {MOMENT}"),
        standard(moment="9" * 5000),
        standard(moment="\u00b9"),
        standard(moment="-1"),
        standard(moment="now"),
        standard(signature=""),
        standard(signature="v1,"),
        standard(signature=SIGNATURE.removeprefix("v1,")),
        standard(signature=SIGNATURE.replace("v1,", "v1a,")),
        standard(signature=SIGNATURE.replace("v1,", "v2,")),
        standard(signature=SIGNATURE.rstrip("=")),
        standard(signature=f"{SIGNATURE},{SIGNATURE}"),
        standard(signature=f"v1,{base64.b64encode(hashlib.sha256(KEY + MESSAGE).digest()).decode()}"),
        standard(signature=" ".join(["v1,x"] * 8 + [SIGNATURE])),
        head(
            ("webhook-id", ID),
            ("webhook-id", ID),
            ("webhook-timestamp", str(MOMENT)),
            ("webhook-signature", SIGNATURE),
            now=MOMENT,
        ),
    ],
)
async def test_no_other_head_counts(given: Head) -> None:
    assert not await accepts(STANDARD, given, MESSAGE)


@pytest.mark.parametrize("signature", ["", "v2,abc", "v1a,abc v2,abc", SIGNATURE[3:]])
async def test_a_head_without_a_signature_of_this_kind_is_refused_before_the_body(signature: str) -> None:
    assert not await STANDARD.admits(standard(signature=signature))


async def test_of_several_signatures_one_is_enough() -> None:
    assert await accepts(STANDARD, standard(signature=f"v1a,xyz v1,{'A' * 43}= {SIGNATURE}"), MESSAGE)


async def test_a_dot_cannot_move_the_border_between_id_moment_and_body() -> None:
    # With a dot in the id both are signed as the same bytes.
    one = signature_headers("a", 1_795_000_000, b"1795000001.{}", [KEY])
    same = signature_headers("a.1795000000", 1_795_000_001, b"{}", [KEY])
    assert one["webhook-signature"] == same["webhook-signature"]
    assert await accepts(STANDARD, head(*one.items()), b"1795000001.{}")
    assert not await accepts(STANDARD, head(*same.items()), b"{}")


async def test_what_we_send_ourselves_counts_with_either_secret() -> None:
    old, new = b"old", b"new"
    given = head(*signature_headers("id", int(NOW), b"{}", [new, old]).items())
    for keys in ([old], [new], [old, new], [b"other", new]):
        assert await accepts(StandardWebhook(keys, 300), given)
    assert not await accepts(StandardWebhook([b"other"], 300), given)
