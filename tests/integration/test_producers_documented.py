"""The examples of ``docs/producers.md`` do what they say, as they stand there."""

import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from schemas.events import ImagePushed
from streams.topics import EVENTS
from tests.support.brokers import BrokerUnderTest
from tests.support.parts import KAFKA_JARS
from tests.support.system import STEP_SECONDS, System, system
from tests.support.waiting import eventually

pytestmark = pytest.mark.kafka

TEXT = (Path(__file__).parents[2] / "docs" / "producers.md").read_text(encoding="utf-8")
BROKER = "localhost:9092"
RUN_SECONDS = 120


def examples(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found
    return found


def with_shell(example: str, folder: Path) -> None:
    subprocess.run(["sh", "-ec", example], check=True, timeout=RUN_SECONDS, cwd=folder)


def with_python(example: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-c", example], check=True, timeout=RUN_SECONDS, cwd=folder)


def with_java(example: str, folder: Path) -> None:
    (folder / "Publish.java").write_text(example)
    command = ["java", "-cp", f"{KAFKA_JARS}/*", "Publish.java"]
    subprocess.run(command, check=True, timeout=RUN_SECONDS, cwd=folder)


RUNS: dict[str, Callable[[str, Path], None]] = {"sh": with_shell, "python": with_python, "java": with_java}


@pytest.fixture
async def one(fresh_broker: BrokerUnderTest, tmp_path: Path) -> AsyncIterator[System]:
    async with system(fresh_broker.bootstrap, tmp_path, registries={"local": {"url": "http://127.0.0.1:1"}}) as built:
        await built.start("evaluate")
        yield built


async def pushed(one: System) -> set[str]:
    data = [item.envelope.data for item in await one.records(EVENTS)]
    return {f"{item.repository}:{item.tag}" for item in data if isinstance(item, ImagePushed)}


async def test_every_example_that_can_be_run_here_tells_its_push(one: System, tmp_path: Path) -> None:
    expected = set()
    for language, run in RUNS.items():
        if language == "java" and shutil.which("javac") is None:
            continue  # A Java without its compiler runs no source.
        for example in examples(language):
            assert BROKER in example
            run(example.replace(BROKER, one.settings.kafka.bootstrap or ""), tmp_path)
            (tag,) = set(re.findall(r"1\.0-\w+", example))
            expected.add(f"local/dev/website:{tag}")

    async def all_told() -> bool:
        return await pushed(one) == expected

    await eventually(all_told, seconds=STEP_SECONDS, what=f"exactly {sorted(expected)}")


def test_the_example_in_go_is_written_as_go_is() -> None:
    if (gofmt := shutil.which("gofmt")) is None:
        pytest.skip("Go is not here")
    (example,) = examples("go")
    formatted = subprocess.run([gofmt], input=example, capture_output=True, text=True, check=False, timeout=RUN_SECONDS)
    assert (formatted.stdout, formatted.stderr) == (example, "")
