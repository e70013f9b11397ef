"""``towline demo``."""

import asyncio

from streams.brokers.embedded import FORGETS
from streams.cli.audit import print_trail
from streams.cli.inputs import AsJson
from streams.cli.output import FINDING, note, print_json, run, say
from streams.cli.replay import print_verification
from streams.demo.play import Moved, Report, play
from streams.demo.scene import scene
from streams.logging import configure_logging
from towline.policy.rules.find import describe_finding

_BROKER = "embedded (keeps nothing)"


def demo(as_json: AsJson = False) -> None:
    """Show a hold, a promotion, mirrors, a denial, the audit trail and a replay. Needs nothing else; ends by itself."""
    configure_logging()
    run(_demo(as_json))


async def _demo(as_json: bool) -> int:
    note("starting an embedded broker, two local registries, the gateway and the workers")
    note(FORGETS)
    async with scene() as built:
        watch = asyncio.create_task(built.workers.until_one_ends())
        playing = asyncio.create_task(play(built, note))
        try:
            done, _ = await asyncio.wait([watch, playing], return_when=asyncio.FIRST_COMPLETED)
            if watch in done:
                note(built.worker_log.read_text(errors="replace")[-4000:])
                watch.result()
            report = playing.result()
        finally:
            for task in (watch, playing):
                task.cancel()
            await asyncio.gather(watch, playing, return_exceptions=True)
    if as_json:
        print_json(_summary(report))
    else:
        _print(report)
        note("next: your own registry and policy, as README.md shows; activate .venv and begin with `towline up`")
    return 0 if _is_right(report) else FINDING


def _is_right(report: Report) -> bool:
    moved = [*report.promoted, *report.mirrored]
    equal = all(item.source_digest == item.target_digest for item in moved)
    return (
        bool(report.promoted and report.mirrored and report.held and report.denied)
        and equal
        and report.verification.is_identical
    )


def _summary(report: Report) -> dict[str, object]:
    return {
        "broker": _BROKER,
        "promoted": report.promoted,
        "mirrored": report.mirrored,
        "held": report.held,
        "denied": report.denied,
        "decisions": report.verification.decisions,
        "replay": "identical" if report.verification.is_identical else "different",
    }


def _print(report: Report) -> None:
    say()
    _print_moved("promoted", report.promoted)
    _print_moved("mirrored", report.mirrored)
    for held in report.held:
        say(f"held      by {held.policy}, at first")
        for rule in held.rules:
            if rule.result != "holds":
                say(f"  {describe_finding(rule)}")
    for denied in report.denied:
        say(f"denied    by {denied.policy}")
        for rule in denied.rules:
            if rule.result == "fails":
                say(f"  {describe_finding(rule)}")
    say()
    say("audit trail")
    print_trail(report.trail)
    say()
    print_verification(report.verification)


def _print_moved(what: str, moved: list[Moved]) -> None:
    for item in moved:
        say(f"{what}  {item.source} -> {item.target}")
        say(f"  source {item.source_digest}")
        say(f"  target {item.target_digest}")
