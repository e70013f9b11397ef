"""``docs/rollback.md``: each command prints what the page says."""

from pathlib import Path

import pytest

from tests.unit.rollback.story import Story, typed_in

TEXT = (Path(__file__).parents[3] / "docs" / "rollback.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_prints_what_it_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    story = Story(monkeypatch, tmp_path)
    typed = typed_in(TEXT)
    assert [line.split()[1:3] for _, line, _ in typed] == [
        ["audit", "blast"],
        ["rollback", "plan"],
        ["rollback", "propose"],
        ["rollback", "approve"],
        ["rollback", "approve"],
        ["rollback", "show"],
    ]
    for who, line, printed in typed:
        assert story.type(who, line) == printed, line
