"""Senders that repeat a secret (S07): the secret counts, whole and in its place, and nothing else does."""

import pytest

from tests.unit.senders.heads import accepts, head
from towline.senders.scheme import Head, Scheme
from towline.senders.secrets import Anybody, Basic, Bearer, SecretPath, StaticHeader

BEARER = Bearer([b"current", b"before"])
#: The examples of RFC 7617: of section 2, and with a character beyond ASCII of section 2.1.
BASIC = Basic("Aladdin", [b"open sesame"])
POUND = Basic("test", ["123\u00a3".encode()])
STATIC = StaticHeader("X-JFrog-Event-Auth", [b"current", b"before"])
PATH = SecretPath([b"0123456789abcdef", b"fedcba9876543210"])


@pytest.mark.parametrize(
    ("scheme", "given"),
    [
        (BEARER, head(("authorization", "Bearer current"))),
        (BEARER, head(("Authorization", "bearer before"))),
        (BASIC, head(("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="))),
        (BASIC, head(("authorization", "BASIC QWxhZGRpbjpvcGVuIHNlc2FtZQ=="))),
        (POUND, head(("authorization", "Basic dGVzdDoxMjPCow=="))),
        (STATIC, head(("x-jfrog-event-auth", "current"))),
        (STATIC, head(("X-JFrog-Event-Auth", "before"))),
        (PATH, head(path="0123456789abcdef")),
        (PATH, head(path="fedcba9876543210")),
        (Anybody(), head()),
    ],
)
async def test_the_secret_lets_its_sender_in(scheme: Scheme, given: Head) -> None:
    assert await accepts(scheme, given)


@pytest.mark.parametrize(
    ("scheme", "given"),
    [
        (BEARER, head()),
        (BEARER, head(("authorization", ""))),
        (BEARER, head(("authorization", "Bearer"))),
        (BEARER, head(("authorization", "Bearer "))),
        (BEARER, head(("authorization", "current"))),
        (BEARER, head(("authorization", "Basic current"))),
        (BEARER, head(("authorization", "Bearer  current"))),
        (BEARER, head(("authorization", "Bearer current\u00e9"))),
        (BEARER, head(("authorization", "Bearer curren"))),
        (BEARER, head(("authorization", "Bearer currentbefore"))),
        (BEARER, head(("authorization", "Bearer current"), ("authorization", "Bearer current"))),
        (BEARER, head(("authorization", "Bearer x"), ("authorization", "Bearer current"))),
        (BEARER, head(("x-authorization", "Bearer current"))),
        (BEARER, head(path="current")),
        (BASIC, head()),
        (BASIC, head(("authorization", "Basic"))),
        (BASIC, head(("authorization", "Basic Aladdin:open sesame"))),
        (BASIC, head(("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"))),
        (BASIC, head(("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZSE="))),
        (BASIC, head(("authorization", "Basic \u00e9"))),
        (BASIC, head(("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==!"))),
        (BASIC, head(("authorization", "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="))),
        (STATIC, head()),
        (STATIC, head(("x-jfrog-event-auth", ""))),
        (STATIC, head(("x-jfrog-event-auth", "Current"))),
        (STATIC, head(("x-jfrog-event-auth", b"current\xff"))),
        (STATIC, head(("x-jfrog-event-auth", "current"), ("x-jfrog-event-auth", "current"))),
        (STATIC, head(("authorization", "current"))),
        (PATH, head()),
        (PATH, head(path="")),
        (PATH, head(path="0123456789abcdeF")),
        (PATH, head(path="0123456789abcdef/")),
        (PATH, head(path="\udc80" * 16)),
        (PATH, head(("authorization", "Bearer 0123456789abcdef"))),
    ],
)
async def test_anything_else_does_not(scheme: Scheme, given: Head) -> None:
    assert not await accepts(scheme, given)


def test_a_header_with_a_secret_is_nobody_elses_to_see() -> None:
    assert STATIC.secret_headers == {"x-jfrog-event-auth"}
