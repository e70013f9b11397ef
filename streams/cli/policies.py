"""``towline policy``."""

from typing import Annotated, Any

import typer
import yaml

from schemas.policies import Policy, PolicySet
from streams.cli.access import unusable
from streams.cli.dtr import import_command
from streams.cli.inputs import AsJson, actor, read_text
from streams.cli.output import FINDING, INFRASTRUCTURE, print_json, print_table, progress_bar, run, say
from streams.cli.trial import try_command
from streams.kafka_log import KafkaLog
from streams.publication import InForce, RevisionConflictError, policies_in_force, publish
from towline.errors import MisuseError, NoAnswerError, PolicyError
from towline.policy.document import read_policies
from towline.registry.access import Access
from towline.settings import load_settings

app = typer.Typer(help="Check policies, bring them into force, look at them.", no_args_is_help=True)
app.command("try")(try_command)
app.command("import")(import_command)

File = Annotated[str, typer.Argument(metavar="FILE", help="A policy file; - for standard input.")]
Replaces = Annotated[
    int | None, typer.Option(help="The revision you mean to replace; refused when another came first.")
]
Timeout = Annotated[float, typer.Option(help="How long to wait for the evaluators.")]
Offline = Annotated[bool, typer.Option("--offline", help="Do not ask the registries what they let us do.")]


@app.command("check")
def check(file: File, offline: Offline = False, as_json: AsJson = False) -> None:
    """Check a policy file as `apply` does, without applying it; exit 1 when it must not be applied.

    Also asks the registries whether sources can be read and targets written; exit 3 when one cannot be reached.
    """
    run(_check(file, offline=offline, as_json=as_json))


async def _check(file: str, *, offline: bool, as_json: bool) -> int:
    settings = load_settings()
    try:
        policies = read_policies(read_text(file), settings.registries, file)
        refused = [] if offline else await unusable(settings, policies)
    except PolicyError as error:
        return _say_problems(error.problems, FINDING, as_json)
    if refused:
        code = INFRASTRUCTURE if any(access.retryable for access in refused) else FINDING
        return _say_problems([f"{file}: {_refusal(access)}" for access in refused], code, as_json)
    if as_json:
        print_json({"problems": [], "policies": len(policies.policies), "digest": policies.digest})
    else:
        say(f"{file}: {len(policies.policies)} policies, nothing wrong; bring them into force with `policy apply`")
    return 0


def _say_problems(problems: list[str], code: int, as_json: bool) -> int:
    if as_json:
        print_json({"problems": problems})
    else:
        for problem in problems:
            say(problem)
    return code


def _refusal(access: Access) -> str:
    if access.repository is None:
        return f"registry {access.registry} cannot be used: {access.detail}"
    asked = " and ".join(
        name for name, granted in (("read", access.read), ("written", access.write)) if granted is False
    )
    return f"{access.registry}/{access.repository} cannot be {asked}: {access.detail}"


@app.command("apply")
def apply(
    file: File,
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
    refused = [] if offline else await unusable(settings, policies)
    if refused:
        problems = [f"{file}: {_refusal(access)}" for access in refused]
        if any(access.retryable for access in refused):
            raise NoAnswerError("\n".join(problems))
        raise PolicyError(problems)
    async with KafkaLog(settings.kafka) as log:
        base = (await policies_in_force(log)).revision if replaces is None else replaces
        return await _publish(log, policies, base, timeout_seconds, as_json)


async def _publish(log: KafkaLog, policies: PolicySet, base: int, timeout_seconds: float, as_json: bool) -> int:
    try:
        with progress_bar() as bar:
            task = bar.add_task("publishing", total=await log.partitions("towline.events"))
            revision = await publish(
                log,
                policies,
                replaces=base,
                actor=actor(),
                timeout_seconds=timeout_seconds,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except RevisionConflictError as error:
        say(str(error))
        return FINDING
    if as_json:
        print_json({"revision": revision, "replaces": base, "policies": len(policies.policies)})
    else:
        say(f"revision {revision} is in force in every partition: {len(policies.policies)} policies")
    return 0


@app.command("remove")
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


@app.command("list")
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


@app.command("show")
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
