"""What a registry warns of is told to people, once (OCI.md "A correct copier" 9)."""

from dataclasses import replace

import httpx
import pytest

from tests.support.faults import Alter, Answered
from tests.support.pairs import Pair
from tests.unit.registry.copying import completed
from towline.registry.notices import NOTICE_COUNT, Notices


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "towline.registry.notices"]


async def test_a_warning_of_a_registry_is_logged_once_and_the_copy_goes_on(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    def warning(answered: Answered) -> Answered:
        return replace(answered, headers={**answered.headers, "warning": '299 - "this tag will be \\"gone\\" soon"'})

    pair.source_faults.on("GET", ".", Alter(warning), times=1000)
    await completed(pair, await pair.push())
    assert warned(caplog) == ['registry source warns: this tag will be "gone" soon']


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (['299 - "one"', '299 - "two"'], ["one", "two"]),
        (['299 - "one", 299 - "two"'], ["one", "two"]),
        (['110 cache "stale"', "299 - unquoted", '299 other "agent"', ""], []),
        (['299 - "a\tb\x1b[31m"'], ["a b [31m"]),
        ([f'299 - "{"x" * 5000}"'], ["x" * 200]),
    ],
)
def test_only_what_the_specification_knows_is_told_and_only_what_can_be_printed(
    caplog: pytest.LogCaptureFixture, values: list[str], texts: list[str]
) -> None:
    response = httpx.Response(200, headers=[("warning", value) for value in values])
    Notices("one").note(response)
    assert warned(caplog) == [f"registry one warns: {text}" for text in texts]


def test_a_flood_of_warnings_ends(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices("one")
    for number in range(NOTICE_COUNT + 50):
        notices.note(httpx.Response(200, headers={"warning": f'299 - "{number}"'}))
    assert len(warned(caplog)) == NOTICE_COUNT
