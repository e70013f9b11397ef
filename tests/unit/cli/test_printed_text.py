"""Names and texts of others cannot rewrite a terminal or add a line to a log (S14)."""

import json
import logging

import pytest
import structlog

from streams.cli.output import note, print_json, print_table, say
from streams.logging import configure_logging

#: Colours, a cleared screen, a line that overwrites itself, a title, text from right to left, C1 controls.
HOSTILE = "\x1b[31mred\x1b[0m \x1b[2J \rover \x1b]0;title\x07 \u202etxt.exe\u2066 \x9b31m \x00 \x7f"
FORBIDDEN = {*map(chr, range(9)), *map(chr, range(11, 32)), "\x7f", *map(chr, range(128, 160))} | set(
    "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


@pytest.mark.parametrize("way", ["a line", "a remark", "a table"])
def test_what_commands_print_has_no_control_character_of_others(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    match way:
        case "a line":
            say(HOSTILE)
        case "a remark":
            note(HOSTILE)
        case "a table":
            print_table(["tag", "reason"], [[HOSTILE, HOSTILE]])
    printed = "".join(capsys.readouterr())
    assert "red" in printed
    assert not FORBIDDEN & set(printed)


def test_json_that_commands_print_is_one_line_with_escaped_controls(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"reason": f"{HOSTILE}\nforged"})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {"reason": f"{HOSTILE}\nforged"}
    assert not set(map(chr, range(32))) & set(printed.rstrip("\n"))


@pytest.fixture
def logged() -> object:
    """What was set up before is as it was after."""
    root = logging.getLogger()
    handlers, level, config = root.handlers, root.level, structlog.get_config()
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**config)


@pytest.mark.parametrize("by", ["us", "a library"])
def test_a_text_of_others_is_one_line_of_a_log_whatever_it_holds(
    by: str, logged: object, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging()
    forged = f'{HOSTILE}\n{{"event": "forged", "level": "error"}}\r\n'
    if by == "us":
        structlog.get_logger("tests").warning(forged, reason=forged)
    else:
        logging.getLogger("tests.library").warning("it said %s", forged)
    (line,) = capsys.readouterr().err.splitlines()
    assert forged in json.loads(line)["event"]
    assert not set(map(chr, range(32))) & set(line)
