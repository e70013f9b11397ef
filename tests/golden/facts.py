"""A history of facts: every field and operator, what waits and is released, and all that is asked and told."""

from collections.abc import Iterable

from schemas.descriptors import OCI_INDEX
from schemas.envelope import Envelope
from schemas.policies import Policy
from schemas.references import Frozen
from schemas.rules import Rule
from tests.support.builders import arrived, at, deleted, policy, proposed, pushed, rule_on, ticked
from tests.support.facts import (
    approval_revoked,
    approved,
    component,
    inspected,
    inspection_failed,
    observed,
    overridden,
    override_revoked,
    platform_image,
    poll_completed,
    poll_failed,
    requested,
    sbom,
    scanned,
    signed,
    sync_requested,
    vulnerability,
)
from tests.support.rules import pairs

_APP, _QA = "local/dev/app", "local/qa/app"
#: A value for each field; for operators that read it in another way, for the field and the operator.
_VALUES = {
    ("tag", None): "1.0", ("tag", "semver"): "^1", ("platform", None): "linux/amd64", ("size", None): "3kB",
    ("label", None): "web", ("label", "semver"): "1.x", ("annotation", None): "web", ("annotation", "semver"): "1.x",
    ("component.name", None): "musl", ("license.name", None): "MIT", ("signed-by", None): "release",
    ("approved", None): "1", ("updated_at", None): "2026-11-24T09:00:00Z", ("updated_at_duration", None): "1h",
    ("age", None): "1h", ("soak", None): "1h30m", ("window", None): "Mon-Fri 09:00-17:00",
}  # fmt: skip


def _rule(field: str, operator: str) -> Rule:
    value = _VALUES.get((field, operator)) or _VALUES.get((field, None)) or "1"
    more = {"name": "team"} if field in {"label", "annotation"} else {}
    return rule_on(field, operator, value, **more, **({"timezone": "Europe/Berlin"} if field == "window" else {}))


def _every_rule() -> Iterable[Policy]:
    """Yield policies that have every field with every operator between them, one for each field."""
    fields: dict[str, list[Rule]] = {}
    for field, operator in sorted(pairs()):
        fields.setdefault(field, []).append(_rule(field, operator))
    for number, (field, rules) in enumerate(fields.items()):
        name = f"every-{field.replace('_', '-').replace('.', '-')}"
        yield policy(name, _APP, f"local/every/{number}", *rules, initial_evaluation=False)


_APPROVED = rule_on("approved", ">=", "1")
_CLEAN = rule_on("vulnerability_critical", "=", "0")
_POLICIES = (
    *_every_rule(),
    policy("clean", _APP, _QA, _CLEAN, tag="%n-%Y%m%d", platforms=("linux/amd64",)),
    policy("soaked", _APP, "remote/app", rule_on("soak", ">=", "1h"), facts="always", overwrite="backup"),
    policy("approved", _QA, "local/prod/app", _APPROVED, rule_on("signed-by", "one-of", "release")),
    policy("ones", "local/dev/tool", "local/qa/tool", rule_on("tag", "starts-with", "1"), tag="stable"),
    policy("twos", "local/dev/tool", "local/qa/tool", rule_on("tag", "starts-with", "2"), tag="stable"),
    policy("teams", "local/team/*", "local/shipped/{1}", rule_on("size", "<", "1MB"), mode="shadow", poll="30m"),
)  # fmt: skip
_LATER = tuple(
    given.model_copy(update={"initial_evaluation": True, "rules": (rule_on("soak", ">=", "3h"),)})
    for given in _POLICIES
    if given.name in {"soaked", "clean"}
)

_TAG = f"{_APP}:1.0"
_AMD64 = platform_image("linux/amd64", "amd64", labels={"team": "web"})
_ARM64 = platform_image("linux/arm64", "arm64", labels={"team": "1.0"})
_BAD = vulnerability("CVE-1", "critical", 98)

FACTS: tuple[Envelope[Frozen], ...] = (
    observed("local/team/web:1", "web"),
    proposed(*_POLICIES),
    ticked(10),
    pushed(_TAG, "index", media_type=OCI_INDEX, time=at(11)),
    inspection_failed(_APP, "index", time=at(12)),
    inspected(_APP, "index", _AMD64, _ARM64, annotations={"team": "web"}, time=at(13)),
    scanned(_APP, "amd64", _BAD, vulnerability("CVE-2", "low"), components=(component("musl", ("MIT",)),), time=at(14)),
    scanned(_APP, "index", platform="linux/arm64", time=at(15)),
    sbom(_APP, "arm64", component("glibc", ("GPL-2.0-only",), ("MIT",)), time=at(16)),
    sbom(_APP, "amd64", component("musl", ("MIT",)), time=at(16)),
    signed(_APP, "index", "release", time=at(17)),
    approved(_APP, "index", "every-approved", "ci", time=at(18)),
    overridden(_APP, "CVE-1", time=at(19)),
    overridden(_APP, "CVE-2", image="index", expires_at=at(7200), time=at(20)),
    overridden(_APP, "CVE-2", image="index", expires_at=at(7200), time=at(20)),
    approved(_APP, "index", "every-approved", "ann", time=at(21)),
    arrived(f"{_QA}:1.0-20261124", "index", hops=1),
    pushed(f"{_QA}:1.0-20261124", "index", actor="towline", time=at(61)),
    signed(_QA, "index", "release", time=at(62)),
    approved(_QA, "index", "approved", "ann", expires_at=at(100), time=at(63)),
    approval_revoked(_QA, "index", "approved", "ann", time=at(64)),
    approved(_QA, "index", "approved", "bob", time=at(65)),
    ticked(3599),
    ticked(3610),
    ticked(3611),
    override_revoked(_APP, "CVE-1", time=at(3700)),
    scanned(_APP, "amd64", key="clean again", time=at(3701)),
    pushed("local/dev/tool:1", "one", time=at(3702)),
    pushed("local/dev/tool:2", "two", time=at(3703)),
    observed("local/team/web:2", "web two", time=at(3704)),
    poll_completed("local/team/web", time=at(3705)),
    observed("local/team/web:3", "web three", time=at(3706)),
    observed("local/team/web:2", "web two", key="again", time=at(3707)),
    inspected("local/team/web", "web three", time=at(3708)),
    poll_failed("local/team/*", time=at(3709)),
    sync_requested("teams", "local/team/*", time=at(3709)),
    pushed(f"{_APP}:sha256-{'a' * 64}.sig", "signature", time=at(3710)),
    requested(_TAG, "index", "local/prod/app:hot-fix", comment="hot fix", time=at(3711)),
    requested(_TAG, "index", "remote/app:hot-fix", time=at(3712)),
    pushed(f"{_APP}:2.0", "two", time=at(3713)),
    deleted(_TAG, time=at(3714)),
    proposed(*_LATER, replaces=1),
    ticked(14_400),
    ticked(14_520),
)
