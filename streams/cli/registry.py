"""``towline registry``."""

from typing import Annotated

import typer

from schemas.patterns import SourcePattern
from streams.cli.inputs import AsJson, repository
from streams.cli.output import FINDING, INFRASTRUCTURE, print_json, print_table, run
from towline.errors import MisuseError
from towline.registry import Registries
from towline.registry.access import Access, check_access
from towline.settings import load_settings

app = typer.Typer(help="See what the registries of the settings let Towline do.", no_args_is_help=True)

_ANSWERS = {None: "-", True: "yes", False: "no"}


@app.callback()
def _registry() -> None:
    """Keep ``check`` a subcommand although it is the only one."""


@app.command("check")
def check(
    name: Annotated[str | None, typer.Argument(help="A registry of the settings; without it, all of them.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="REGISTRY/REPOSITORY, or a glob, that must be readable.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="REGISTRY/REPOSITORY that must be writable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Reach registries with their credentials, read sources and write targets; nothing stays in them.

    Exits with 1 when something is refused, with 3 when a registry cannot be reached.
    """
    run(_check(name, source or [], target or [], as_json=as_json))


async def _check(name: str | None, sources: list[str], targets: list[str], *, as_json: bool) -> int:
    settings = load_settings()
    wanted, written = [_source(text) for text in sources], [repository(text) for text in targets]
    names = [name] if name is not None else list(settings.registries)
    used = {*names, *(item.registry for item in wanted), *(item.registry for item in written)}
    unknown = used - set(settings.registries)
    if unknown:
        known = ", ".join(sorted(settings.registries)) or "none"
        raise MisuseError(f"{', '.join(sorted(unknown))}: not in the settings; known registries are: {known}")
    async with Registries(settings.registries, egress=settings.egress) as registries:
        found = await check_access(registries, wanted, written, names)
    if as_json:
        print_json({"access": found})
    else:
        print_table(("NAME", "REPOSITORY", "READ", "WRITE", "DETAIL"), [_row(access) for access in found])
    refused = [access for access in found if not access.is_fine]
    if any(access.retryable for access in refused):
        return INFRASTRUCTURE
    return FINDING if refused else 0


def _source(text: str) -> SourcePattern:
    try:
        return SourcePattern.parse(text)
    except ValueError as error:
        raise MisuseError(str(error)) from None


def _row(access: Access) -> tuple[str, str, str, str, str]:
    return (
        access.registry,
        access.repository or "-",
        _ANSWERS[access.read],
        _ANSWERS[access.write],
        access.detail,
    )
