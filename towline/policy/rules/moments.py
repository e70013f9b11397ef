"""Rules on time: updates, age, soak and windows."""

from datetime import timedelta
from typing import Final

from schemas.instants import format_instant, parse_instant
from schemas.rules import InstantRule, SinceRule, SpanRule, WindowRule
from towline.policy.rules.found import Found, decided, waiting
from towline.policy.rules.spans import COMPARE, parse_moment, parse_span
from towline.policy.rules.view import ImageView, Missing
from towline.policy.rules.windows import is_open, opens_at

_INSTANT: Final = timedelta(microseconds=1)


def find_instant(rule: InstantRule, view: ImageView) -> Found:
    """Compare the last update with a moment."""
    updated = parse_instant(view.subject.updated_at)
    moments = [parse_moment(value) for value in rule.values]
    fits = any(updated < moment if rule.operator == "before" else updated > moment for moment in moments)
    return decided(fits, view.subject.updated_at)


def find_since(rule: SinceRule, view: ImageView) -> Found:
    """Compare the time since the last update; an update that is too new waits until it is not."""
    return _elapsed(">" if rule.operator == "before" else "<", rule.values, view.subject.updated_at, view)


def find_span(rule: SpanRule, view: ImageView) -> Found:
    """Compare an image's age, or how long it has been in the repository."""
    if rule.field == "soak":
        first_seen = view.image.first_seen_at
        if first_seen is None:
            return waiting(Missing("its first arrival in this repository"))
        return _elapsed(rule.operator, rule.values, first_seen, view)
    images, inspection = view.images, view.facts.inspection
    if isinstance(images, Missing) or inspection is None:
        return waiting(images if isinstance(images, Missing) else Missing("an inspection of the image"))
    created = [item["created"] for item in images]
    if not created or None in created:
        return decided(False, None, inspection["event"], detail="its configuration does not say when it was built")
    # Several platforms are as old as the youngest of them.
    return _elapsed(rule.operator, rule.values, max(created), view, inspection["event"])


def _elapsed(operator: str, values: tuple[str, ...], since: str, view: ImageView, *events: str) -> Found:
    start = parse_instant(since)
    elapsed = (view.now - start) // _INSTANT
    spans = [parse_span(value) for value in values]
    if any(COMPARE[operator](elapsed, span // _INSTANT) for span in spans):
        return decided(True, since, *events)
    if operator in {"<", "<="}:
        return decided(False, since, *events)  # Only more time will pass.
    due = start + min(spans) + (_INSTANT if operator == ">" else timedelta())
    return Found("waits", since, f"until {format_instant(due)}", events, format_instant(due))


def find_window(rule: WindowRule, view: ImageView) -> Found:
    """Look whether the policy may act now; if not, until when it may not."""
    if is_open(rule.operator, rule.values, rule.timezone, view.now):
        return decided(True, view.now_text)
    opens = opens_at(rule.operator, rule.values, rule.timezone, view.now)
    if opens is None:
        return decided(False, view.now_text, detail="no window opens any more")
    return Found("waits", view.now_text, f"until {format_instant(opens)}", (), format_instant(opens))
