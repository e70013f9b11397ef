"""``towline scan``, ``approve``, ``override`` and ``promote``: what people and tools tell about images."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, get_args

import typer

from schemas.catalogue import type_of
from schemas.envelope import Envelope
from schemas.facts import SbomSubmitted, ScanCompleted, Severity
from schemas.references import Frozen
from streams import facts
from streams.cli.inputs import AsJson, actor, read_file, reference, repository
from streams.cli.output import print_json, run, say
from streams.facts import ImageName, Teller
from streams.kafka_log import KafkaLog
from towline.errors import MisuseError, UnusableInputError
from towline.facts import Report, read_report
from towline.registry import Registries
from towline.settings import load_settings

app = typer.Typer(help="Tell Towline what scanners and SBOM tools found.", no_args_is_help=True)

Build = Callable[[Registries, Teller], Awaitable[Envelope[Frozen]]]

_SOURCE: Final = "towline/cli"

Image = Annotated[
    str, typer.Argument(metavar="REF", help="REGISTRY/REPOSITORY:TAG as it is now, or REGISTRY/REPOSITORY@DIGEST")
]
Expires = Annotated[str | None, typer.Option(help="For how long, such as 7d; for ever when left out.")]
Comment = Annotated[str, typer.Option(help="For those who read the log.")]
Revoke = Annotated[bool, typer.Option("--revoke", help="Take it back.")]


@app.command("submit")
def submit(
    ref: Image,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="JSON of Trivy, Grype or Harbor, or an SBOM (CycloneDX, SPDX); - for standard input."
        ),
    ],
    digest: Annotated[str | None, typer.Option(help="The image that was looked at.")] = None,
    platform: Annotated[
        str | None, typer.Option(help="Of an index, the platform that was looked at, such as linux/amd64.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit a scanner's report or an SBOM; policies that wait for it decide again."""

    async def build(registries: Registries, by: Teller) -> Envelope[Frozen]:
        image, report = ImageName.parse(ref), _read(file)
        about = await facts.scanned_digest(image, report, registries, digest)
        return facts.submission(report, image.repository, about, by, platform)

    run(_tell(build, as_json, _next("see what follows from it", ref)))


def approve(
    ref: Image,
    *,
    policy: Annotated[str, typer.Option(help="The policy that the image may pass.")],
    expires: Expires = None,
    comment: Comment = "",
    revoke: Revoke = False,
    approver: Annotated[
        str | None, typer.Option(help="With --revoke: whose approval, when it is not your own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Approve an image for a policy that asks for approvals, or take an approval back."""

    async def build(registries: Registries, by: Teller) -> Envelope[Frozen]:
        image = ImageName.parse(ref)
        if approver is not None and not revoke:
            raise MisuseError("--approver goes with --revoke: approvals are given in your own name")
        _refuse_expiry_of_nothing(revoke, expires)
        digest = await facts.digest_of(image, registries)
        if revoke:
            whose = approver or by.actor
            return facts.approval_revocation(image.repository, digest, policy, whose, by, comment=comment)
        return facts.approval(image.repository, digest, policy, by, comment=comment, expires=expires)

    # An approval for a policy that nobody has would wait for ever, unseen; a revocation of one does no harm.
    required = None if revoke else policy
    run(_tell(build, as_json, _next("see what the policy makes of it", ref), required))


def override(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="REGISTRY/REPOSITORY:TAG or @DIGEST; with --whole-repository REGISTRY/REPOSITORY"
        ),
    ],
    vulnerability: Annotated[str, typer.Argument(metavar="VULNERABILITY", help="As the scanner names it.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; for those who read the log.")],
    component: Annotated[str | None, typer.Option(help="Only in this package; in all when left out.")] = None,
    expires: Expires = None,
    whole_repository: Annotated[
        bool, typer.Option("--whole-repository", help="In every image of the repository, later ones too.")
    ] = False,
    revoke: Revoke = False,
    as_json: AsJson = False,
) -> None:
    """Answer for a vulnerability, so that it does not count any more; or let it count again."""

    async def build(registries: Registries, by: Teller) -> Envelope[Frozen]:
        _refuse_expiry_of_nothing(revoke, expires)
        if whole_repository:
            where, digest = repository(ref), None
            registries(where.registry)
        else:
            image = ImageName.parse(ref)
            where, digest = image.repository, await facts.digest_of(image, registries)
        if revoke:
            return facts.override_revocation(where, digest, vulnerability, by, reason=reason, component=component)
        return facts.override(where, digest, vulnerability, by, reason=reason, component=component, expires=expires)

    run(_tell(build, as_json, _next("see what follows from it", f"{ref}@" if whole_repository else ref)))


def promote(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="REGISTRY/REPOSITORY:TAG, as it is now.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="REGISTRY/REPOSITORY:TAG")],
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Promote an image by hand, whatever the policies say; the log tells who did."""

    async def build(registries: Registries, by: Teller) -> Envelope[Frozen]:
        origin, goal = reference(source), reference(target)
        registries(goal.repository.registry)
        digest = await facts.digest_of(ImageName(origin.repository, origin.tag, None), registries)
        return facts.promotion_request(origin, digest, goal, by, comment=comment)

    run(_tell(build, as_json, _next("see where it goes", source)))


async def _tell(build: Build, as_json: bool, next_step: str, policy: str | None = None) -> None:
    """Build an event, bring it into the log and say where it is; ``policy`` is one that must be in force."""
    settings = load_settings()
    async with Registries(settings.registries, egress=settings.egress) as registries:
        event = await build(registries, Teller.at_present(actor(), _SOURCE))
    async with KafkaLog(settings.kafka) as log:
        if policy is not None:
            await facts.require_policy(log, policy)
        place = await facts.record(log, event)
    position, summary = str(place), _summary(event.data)
    if as_json:
        told = {"id": event.id, "type": type_of(event.data), "subject": event.subject}
        print_json({**told, "position": position, **summary})
        return
    say(f"{type_of(event.data)} {event.subject}")
    for name, value in summary.items():
        say(f"  {name.replace('_', ' ')}: {_text(value)}")
    say(f"recorded at {position}; {next_step}")


def _next(what: str, ref: str) -> str:
    # Tags are what can be explained.
    name, at, _ = ref.partition("@")
    return f"{what} with `towline explain {name}:TAG`" if at else f"{what} with `towline explain {ref}`"


def _read(file: str) -> Report:
    try:
        return read_report(read_file(file))
    except UnusableInputError as error:
        raise UnusableInputError(f"{file}: {error}") from None


def _refuse_expiry_of_nothing(revoke: bool, expires: str | None) -> None:
    if revoke and expires is not None:
        raise MisuseError("what is revoked does not expire: leave out --expires")


def _summary(data: Frozen) -> dict[str, Any]:
    """Return what is worth repeating of an event: of a report how much it has, of the rest until when it holds."""
    if isinstance(data, ScanCompleted):
        counts = Counter(found.severity for found in data.vulnerabilities)
        return {
            "platform": data.platform,
            "scanner": data.scanner,
            "vulnerabilities": {severity: counts[severity] for severity in get_args(Severity)},
            "components": None if data.components is None else len(data.components),
        }
    if isinstance(data, SbomSubmitted):
        return {"platform": data.platform, "format": data.format, "components": len(data.components)}
    expires_at = getattr(data, "expires_at", None)
    return {} if expires_at is None else {"expires_at": expires_at}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items() if count) or "none"
    return "not said" if value is None else str(value)
