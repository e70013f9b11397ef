"""When a webhook is sent again: for days, with jitter, and not for ever."""

from schemas.canonical import content_id
from towline import limits
from towline.receivers.schedule import Tries, after_attempt, longest_pause_seconds

START = 1_700_000_000.0
IDS = [content_id("test", str(number)) for number in range(200)]


def pauses(webhook_id: str) -> list[float]:
    """The pauses of a webhook whose attempts all fail at once."""
    found: list[float] = []
    now, tries = START, after_attempt(webhook_id, None, START)
    while tries is not None:
        assert tries.made == len(found) + 1
        assert tries.first == START
        found.append(tries.due - now)
        now = tries.due
        tries = after_attempt(webhook_id, tries, now)
    return found


def test_pauses_are_those_of_the_limits_a_tenth_longer_or_shorter_at_most() -> None:
    for id_ in IDS:
        found = pauses(id_)
        assert len(found) == len(limits.webhook_pauses_seconds)
        for pause, wanted in zip(found, limits.webhook_pauses_seconds, strict=True):
            assert 0.9 * wanted <= pause <= 1.1 * wanted
            assert pause <= longest_pause_seconds()


def test_what_failed_together_does_not_come_again_together_and_a_repetition_comes_at_the_same_moments() -> None:
    assert len({pauses(id_)[-1] for id_ in IDS}) == len(IDS)
    assert max(pauses(id_)[5] for id_ in IDS) - min(pauses(id_)[5] for id_ in IDS) > 0.15 * 7200
    assert pauses(IDS[0]) == pauses(IDS[0])


def test_a_receiver_that_asks_for_patience_gets_it_and_never_less_than_the_pause() -> None:
    patient = after_attempt(IDS[0], None, START, 600.0)
    assert patient is not None
    assert patient.due == START + 600.0
    assert after_attempt(IDS[0], None, START, 0.1) == after_attempt(IDS[0], None, START)


def test_attempts_that_are_held_up_do_not_go_on_for_ever() -> None:
    late = START + 1.2 * sum(limits.webhook_pauses_seconds)
    assert after_attempt(IDS[0], Tries(2, START, START), late) is None
