"""``towline policy check``: whether a policy file may be applied. Needs no broker, and offline no network."""

from streams.cli.inputs import AsJson, Offline, PolicyFile, read_text
from streams.cli.output import FINDING, INFRASTRUCTURE, print_json, run, say
from towline.errors import PolicyError
from towline.policy.document import read_policies
from towline.settings import load_settings


def check(file: PolicyFile, offline: Offline = False, as_json: AsJson = False) -> None:
    """Check a policy file as `apply` does, without applying it; exit 1 when it must not be applied.

    Also asks the registries whether sources can be read and targets written; exit 3 when one cannot be reached.
    """
    run(_check(file, offline=offline, as_json=as_json))


async def _check(file: str, *, offline: bool, as_json: bool) -> int:
    settings = load_settings()
    try:
        policies = read_policies(read_text(file), settings.registries, file)
        if not offline:
            # Here, because offline checks are for editors and commit hooks, and this takes most of their time.
            from streams.cli.access import refusals  # noqa: PLC0415

            refused = await refusals(settings, policies, file)
            if refused is not None:
                return _say_problems(refused.problems, INFRASTRUCTURE if refused.retryable else FINDING, as_json)
    except PolicyError as error:
        return _say_problems(error.problems, FINDING, as_json)
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
