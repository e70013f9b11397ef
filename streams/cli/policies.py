"""``towline policy apply``, ``list``, ``show`` and ``remove``: what has to do with the policies in force."""

from typing import Annotated, Any

import typer
import yaml

from schemas.policies import Policy, PolicySet
from streams.cli.access import refusals
from streams.cli.inputs import AsJson, Offline, PolicyFile, actor, read_text
from streams.cli.output import FINDING, print_json, print_table, run, say
from streams.cli.publishing import Replaces, Timeout, published
from streams.kafka_log import KafkaLog
from streams.publication import InForce, policies_in_force, publish
from towline.errors import MisuseError, NoAnswerError, PolicyError
from towline.policy.document import read_policies
from towline.settings import load_settings


def apply(
    file: PolicyFile,
    replaces: Replaces = None,
    timeout_seconds: Timeout = 30.0,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Bring a policy file into force, in place of all policies before. Returns when every partition has it."""
    run(_apply(file, replaces, timeout_seconds, offline=offline, as_json=as_json))


async def _apply(file: str, replaces: int | None, timeout_seconds: float, *, offline: bool, as_json: bool) -> int:
    settings = load_settings()
    policies = read_policies(read_text(file), settings.registries, file)
    refused = None if offline else await refusals(settings, policies, file)
    if refused is not None:
        raise NoAnswerError("\n".join(refused.problems)) if refused.retryable else PolicyError(refused.problems)
    async with KafkaLog(settings.kafka) as log:
        base = (await policies_in_force(log)).revision if replaces is None else replaces
        return await _publish(log, policies, base, timeout_seconds, as_json)


async def _publish(log: KafkaLog, policies: PolicySet, base: int, timeout_seconds: float, as_json: bool) -> int:
    revision = await published(
        log,
        lambda progress: publish(
            log, policies, replaces=base, actor=actor(), timeout_seconds=timeout_seconds, progress=progress
        ),
    )
    if revision is None:
        return FINDING
    if as_json:
        print_json({"revision": revision, "replaces": base, "policies": len(policies.policies)})
    else:
        say(f"revision {revision} is in force in every partition: {len(policies.policies)} policies")
    return 0


def remove(
    name: Annotated[str, typer.Argument(help="The policy to take out of force.")],
    timeout_seconds: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Take one policy out of force: a new revision without it. What it has promoted stays where it is."""
    run(_remove(name, timeout_seconds, as_json))


async def _remove(name: str, timeout_seconds: float, as_json: bool) -> int:
    async with KafkaLog(load_settings().kafka) as log:
        found = await policies_in_force(log)
        _chosen(found, name)
        left = tuple(policy for policy in found.policies.policies if policy.name != name)
        policies = found.policies.model_copy(update={"policies": left})
        return await _publish(log, policies, found.revision, timeout_seconds, as_json)


def list_(as_json: AsJson = False) -> None:
    """List the policies in force."""
    run(_list(as_json))


async def _list(as_json: bool) -> int:
    async with KafkaLog(load_settings().kafka) as log:
        found = await policies_in_force(log)
    if as_json:
        print_json({"revision": found.revision, "policies": found.policies.policies})
        return 0
    by = f", published {found.published.time} by {found.published.data.actor}" if found.published else ""
    say(f"revision {found.revision}{by}")
    print_table(
        ("POLICY", "KIND", "MODE", "SOURCE", "TARGET", "TAG", "RULES", "POLL"),
        [
            (p.name, _kind(p), p.mode, p.source, p.target, p.tag, len(p.rules), p.poll or "-")
            for p in found.policies.policies
        ],
    )
    return 0


def _kind(policy: Policy) -> str:
    return "promotion" if policy.source.registry == policy.target.registry else "mirror"


def show(
    name: Annotated[str | None, typer.Argument(help="One policy; all when left out.")] = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print a policy file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the policies in force."""
    run(_show(name, as_yaml=as_yaml, as_json=as_json))


async def _show(name: str | None, *, as_yaml: bool, as_json: bool) -> int:
    async with KafkaLog(load_settings().kafka) as log:
        found = await policies_in_force(log)
    policies = found.policies.policies if name is None else (_chosen(found, name),)
    if as_json:
        print_json({"revision": found.revision, "policies": policies})
        return 0
    say(f"# revision {found.revision}")
    if as_yaml:
        document = {"policies": [policy.model_dump(mode="json", exclude_defaults=True) for policy in policies]}
        say(yaml.safe_dump(document, sort_keys=False).rstrip())
        return 0
    for policy in policies:
        _say_policy(policy)
    return 0


def _chosen(found: InForce, name: str) -> Policy:
    for policy in found.policies.policies:
        if policy.name == name:
            return policy
    known = ", ".join(policy.name for policy in found.policies.policies) or "none"
    raise MisuseError(f"no policy {name!r} in revision {found.revision}; there are: {known}")


def _say_policy(policy: Policy) -> None:
    say(f"{policy.name}: {_kind(policy)}")
    members: dict[str, Any] = policy.model_dump(mode="json", exclude={"name", "rules"})
    for member, value in members.items():
        if value not in (None, []):
            say(f"  {member}: {', '.join(value) if isinstance(value, list) else value}")
    for rule in policy.rules:
        values = rule.model_dump(mode="json")
        name = f" {values['name']}" if "name" in values else ""
        zone = f" ({values['timezone']})" if "timezone" in values else ""
        say(f"  rule: {rule.field}{name} {rule.operator} {', '.join(rule.values)}{zone}")
