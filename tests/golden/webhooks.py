"""A history of subscriptions: published, told of everything that there is to tell, ended, applied again."""

from typing import get_args

from schemas.canonical import content_id
from schemas.envelope import Envelope
from schemas.events import RemovalFailed, RemovalSkipped, TagRemoved
from schemas.references import Frozen
from schemas.webhooks import DeliverWebhook, Notified
from tests.support.builders import (
    arrived,
    at,
    command,
    deleted,
    digest,
    envelope,
    failed,
    outcome,
    policy,
    proposed,
    pushed,
    removal,
    rule,
    rule_on,
    skipped,
    ticked,
)
from tests.support.facts import poll_failed, scanned, vulnerability
from tests.support.hints import hinted, looked, noticed
from tests.support.subscriptions import (
    subscription,
    subscription_ended,
    subscriptions_proposed,
    webhook_delivered,
    webhook_failed,
)

_APP, _QA = "local/dev/app", "local/qa/app"
_EVERYTHING: tuple[str, ...] = get_args(Notified)
_POLICIES = (
    policy("stable", _APP, _QA, rule("ends-with", "-stable")),
    policy("clean", _APP, "remote/app", rule_on("vulnerability_all", "=", "0")),
    policy("shadowed", _APP, "local/canary/app", mode="shadow"),
)
_TEXT = "{event}: {verdict} {source} -> {target} ({status}, {policy}, {mode}) by {actor}: {reason} {cause} {{{tag}}}"
_ALL = subscription("all", *_EVERYTHING)
_CHAT = subscription("chat", *_EVERYTHING, repository="local/**", receiver="chat", format="text", template=_TEXT)
_PORTAL = subscription(
    "portal", "image.pushed", "image.deleted", "tag.removed", "scan.completed", "scan.noticed", "transfer.completed",
    repository=_APP, receiver="portal", format="dtr",
)  # fmt: skip
_LATE = subscription("late", "image.pushed", receiver="late", inactive="not yet wanted")

_COPY = command(f"{_APP}:1-stable", f"{_QA}:1-stable", "one")
_AWAY = command(f"{_APP}:1-stable", "remote/app:1-stable", "one")
_GONE = removal(f"{_APP}:1", f"{_QA}:1", "one")
_HINT = hinted(f"{_APP}:3", actor="ann", time=at(40))
_SCAN = scanned(
    _APP,
    "one",
    vulnerability("CVE-1", score_tenths=71),
    vulnerability("CVE-2", score_tenths=45),
    vulnerability("CVE-3", severity="low"),
    time=at(20),
)


def _given(name: str, cause: Envelope[Frozen]) -> Envelope[DeliverWebhook]:
    """Return as much of a command as its end needs."""
    data = DeliverWebhook(
        cause_id=cause.id,
        cause="image.pushed",
        subscription=name,
        receiver="hub",
        revision=1,
        content_type="x",
        body="x",
    )
    return Envelope(content_id("webhook.deliver", name, cause.id), "test", name, at(0), data)


def _ended(model: type[Frozen], **more: object) -> Envelope[Frozen]:
    data = model(**_GONE.data.outcome_members(_GONE.id), **more)
    return envelope(data, subject=f"{_QA}:1", key=f"{model.__name__} {_GONE.id}", time=at(60))


_PUSH = pushed(f"{_APP}:1-stable", "one", actor="<ann> & co", time=at(10))
_PROPOSAL = subscriptions_proposed(_ALL, _CHAT, _PORTAL)

WEBHOOKS: tuple[Envelope[Frozen], ...] = (
    pushed(f"{_APP}:0", "nobody is told"),
    proposed(*_POLICIES),
    _PROPOSAL,
    _PROPOSAL,
    subscriptions_proposed(_LATE, actor="too late"),
    _PUSH,
    _PUSH,
    pushed(f"{_APP}:2", "two", time=at(11)),
    _SCAN,
    _SCAN,
    noticed(f"{_APP}:1-stable", "one", counts={"critical": 1, "high": 2}, time=at(21)),
    noticed(f"{_APP}:2", succeeded=False, key="failed", time=at(22)),
    arrived(f"{_QA}:1-stable", "one", hops=1),
    pushed(f"{_QA}:1-stable", "one", key="the registry tells of our copy", actor="towline", time=at(61)),
    outcome(failed(_COPY.id, _COPY.data)),
    outcome(skipped(_AWAY.id, _AWAY.data)),
    _HINT,
    looked(f"{_APP}:3", "three", after=_HINT, actor="ann", time=at(41)),
    poll_failed("local/dev/*", time=at(50)),
    _ended(TagRemoved, previous_digest=digest("one")),
    _ended(RemovalSkipped, reason="it was gone"),
    _ended(RemovalFailed, cause="denied", detail="the registry refused", retryable=False, attempts=1),
    deleted(f"{_APP}:2", time=at(62)),
    deleted(f"{_APP}:2", key="told again by another", time=at(63)),
    webhook_delivered(_given("all", _PUSH), time=at(70)),
    webhook_failed(_given("portal", _PUSH), time=at(71)),
    subscription_ended("portal", receiver="portal", revision=1),
    subscription_ended("portal", receiver="portal", revision=1, key="by another webhook"),
    pushed(f"{_APP}:4-stable", "four", time=at(80)),
    # Whoever saw the revision before the end is refused.
    subscriptions_proposed(_ALL, _LATE, replaces=1),
    subscriptions_proposed(_ALL, _PORTAL, _LATE, replaces=2),
    subscription_ended("portal", receiver="portal", revision=2, key="of before it was applied again"),
    pushed(f"{_APP}:5", "five", time=at(90)),
    _PUSH,
    ticked(120),
)
