"""Reports as large as they may be are read."""

from tests.unit.facts.reports import content, document, read
from towline.facts import read_report


def test_a_million_members_that_nobody_knows_do_no_harm() -> None:
    names = {f"n{number}": number for number in range(1_000_000)}
    assert read(document("trivy") | names) == read_report(content("trivy"))
