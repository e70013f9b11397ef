"""What programs import before they begin: each of these takes longer to import than a small copy takes."""

import json
import subprocess
import sys

import pytest

from tests.support.parts import ROOT
from towline.settings import child_environment


def imported(statement: str) -> set[str]:
    """Return the modules that a program has after a statement, and of our models those that are ready for use."""
    program = (
        f"{statement}\n"
        "import json, sys\n"
        "from schemas.rules import TagRule\n"
        "ready = ['a rule'] if TagRule.__pydantic_complete__ else []\n"
        "print(json.dumps([name for name, module in sys.modules.items() if module] + ready))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=child_environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(ended.stdout))


@pytest.fixture(scope="module")
def copying() -> set[str]:
    return imported("import bench.copier")


@pytest.mark.parametrize(
    "absent", ["faust", "aiokafka", "typer", "rich", "pygments", "yaml", "pydantic_settings", "a rule"]
)
def test_a_copy_imports_nothing_that_it_does_not_need(copying: set[str], absent: str) -> None:
    assert "towline.registry.copy" in copying
    assert absent not in copying


@pytest.mark.parametrize("program", ["import streams.cli", "import streams.cli.policy_check"])
def test_the_list_of_commands_and_an_offline_check_import_neither_http_nor_kafka(program: str) -> None:
    assert not imported(program) & {"aiohttp", "httpx", "aiokafka", "faust", "towline.registry", "streams.cli.demo"}
