"""``towline policy``."""

from typing import Annotated

import typer
import yaml

from schemas.policies import Policy, PolicySet
from streams.cli.inputs import AsJson, actor, read_file
from streams.cli.output import FINDING, print_json, print_table, progress_bar, run, say
from streams.kafka_log import KafkaLog
from streams.publication import RevisionConflictError, policies_in_force, publish
from towline.errors import MisuseError, PolicyError
from towline.policy.document import read_policies
from towline.settings import Settings, load_settings

app = typer.Typer(help="Check policies, bring them into force, look at them.", no_args_is_help=True)

File = Annotated[str, typer.Argument(metavar="FILE", help="A policy file; - for standard input.")]


def _read(path: str, settings: Settings) -> PolicySet:
    """Read a policy file; every problem begins with the file's name."""
    text = read_file(path).decode("utf-8", errors="replace")
    try:
        return read_policies(text, settings.registries)
    except PolicyError as error:
        raise PolicyError([f"{path}: {problem}" for problem in error.problems]) from None


@app.command("check")
def check(file: File, as_json: AsJson = False) -> None:
    """Check a policy file as `apply` does, without applying it; exit 1 when it must not be applied."""
    run(_check(file, as_json))


async def _check(file: str, as_json: bool) -> int:
    try:
        policies = _read(file, load_settings())
    except PolicyError as error:
        if as_json:
            print_json({"problems": error.problems})
        else:
            for problem in error.problems:
                say(problem)
        return FINDING
    if as_json:
        print_json({"problems": [], "policies": len(policies.policies), "digest": policies.digest})
    else:
        say(f"{file}: {len(policies.policies)} policies, nothing wrong; bring them into force with `policy apply`")
    return 0


@app.command("apply")
def apply(
    file: File,
    replaces: Annotated[
        int | None, typer.Option(help="The revision you mean to replace; refused when another came first.")
    ] = None,
    timeout_seconds: Annotated[float, typer.Option(help="How long to wait for the evaluators.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Bring a policy file into force, in place of all policies before. Returns when every partition has it."""
    run(_apply(file, replaces, timeout_seconds, as_json))


async def _apply(file: str, replaces: int | None, timeout_seconds: float, as_json: bool) -> int:
    settings = load_settings()
    policies = _read(file, settings)
    async with KafkaLog(settings.kafka) as log:
        before = await policies_in_force(log)
        base = before.revision if replaces is None else replaces
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
        ("POLICY", "KIND", "SOURCE", "TARGET", "TAG", "RULES"),
        [(p.name, _kind(p), p.source, p.target, p.tag, len(p.rules)) for p in found.policies.policies],
    )
    return 0


def _kind(policy: Policy) -> str:
    return "promotion" if policy.source.registry == policy.target.registry else "mirror"


@app.command("show")
def show(
    name: Annotated[str | None, typer.Argument(help="One policy; all when left out.")] = None, as_json: AsJson = False
) -> None:
    """Print the policies in force as a policy file."""
    run(_show(name, as_json))


async def _show(name: str | None, as_json: bool) -> int:
    async with KafkaLog(load_settings().kafka) as log:
        found = await policies_in_force(log)
    policies = [policy for policy in found.policies.policies if name in {None, policy.name}]
    if name is not None and not policies:
        known = ", ".join(policy.name for policy in found.policies.policies) or "none"
        raise MisuseError(f"no policy {name!r} in revision {found.revision}; there are: {known}")
    document = {"policies": [policy.model_dump(mode="json") for policy in policies]}
    if as_json:
        print_json({"revision": found.revision, **document})
    else:
        say(f"# revision {found.revision}")
        say(yaml.safe_dump(document, sort_keys=False).rstrip())
    return 0
