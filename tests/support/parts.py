"""Fetches what the full tests need, into ``.parts`` and from Debian: ``python -m tests.support.parts``.

``--all`` fetches what takes long too. Quick when all is there. Without root it says what to install and exits with 1.
A machine without Go gets the rest, and the tests that need more are skipped; under ``CI=true`` that is not enough.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.goprograms import COSIGN, DISTRIBUTION_3, GOREGISTRY, ROOT, GoProgram, NotBuiltError

KAFKA_POM: Final = ROOT / "tests" / "support" / "kafka" / "pom.xml"
KAFKA_JARS: Final = ROOT / ".parts" / "kafka"
KAFKA_VERSION: Final = re.findall(r"<kafka\.version>(.*)</kafka\.version>", KAFKA_POM.read_text(encoding="utf-8"))[0]

#: From program to the Debian package that brings it.
PROGRAMS: Final = {
    "java": "openjdk-17-jre-headless",
    "mvn": "maven",
    "docker-registry": "docker-registry",
    "kcat": "kcat",
}
GO_PROGRAMS: Final = (GOREGISTRY, DISTRIBUTION_3)
#: Those that take long.
MORE_GO_PROGRAMS: Final = (COSIGN,)


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    version: str
    where: str


def kafka_is_here() -> bool:
    """Tell if the class path of this version is complete, and Java can run it."""
    return kafka_stamp().exists() and shutil.which("java") is not None


def kafka_stamp() -> Path:
    """The file that is written after the last jar, so that a broken download is not taken for a whole one."""
    return KAFKA_JARS / f".complete-{KAFKA_VERSION}"


def missing_packages() -> list[str]:
    return [package for program, package in PROGRAMS.items() if shutil.which(program) is None]


def install(packages: list[str]) -> None:
    """Install Debian packages.

    Raises:
        SystemExit: we are not root; the text has the command to run.
        CalledProcessError: apt-get failed; its output is on the terminal.
    """
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SystemExit(f"missing: {', '.join(packages)}. Install them, on Debian: sudo {' '.join(command)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "--quiet"], check=True, env=environment)
    subprocess.run(command, check=True, env=environment)


def fetch_kafka() -> None:
    """Copy Apache Kafka and its dependencies by Maven.

    Raises:
        CalledProcessError: Maven failed; its output is on the terminal.
    """
    shutil.rmtree(KAFKA_JARS, ignore_errors=True)
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={KAFKA_JARS}"]
    subprocess.run(["mvn", "-q", "-B", "-f", str(KAFKA_POM), *goal], check=True, stdin=subprocess.DEVNULL)
    kafka_stamp().touch()


def debian_version(package: str) -> str:
    found = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", package], capture_output=True, text=True, check=False
    )
    return found.stdout or "not from Debian"


def fetch_go_program(program: GoProgram) -> Part:
    """Build a program.

    Raises:
        SystemExit: it cannot be built, and under CI everything has to be there.
    """
    try:
        return Part(program.name, program.version, str(program.build().relative_to(ROOT)))
    except NotBuiltError as error:
        if os.environ.get("CI") == "true":
            raise SystemExit(str(error)) from error
        return Part(program.name, program.version, f"left out: {error}")


def main(arguments: list[str]) -> None:
    if packages := missing_packages():
        install(packages)
    if not kafka_is_here():
        fetch_kafka()
    parts = [Part("Apache Kafka", KAFKA_VERSION, str(KAFKA_JARS.relative_to(ROOT)))]
    parts += [Part(name, debian_version(package), str(shutil.which(name))) for name, package in PROGRAMS.items()]
    programs = GO_PROGRAMS + (MORE_GO_PROGRAMS if "--all" in arguments else ())
    parts += [fetch_go_program(program) for program in programs]
    for part in parts:
        sys.stdout.write(f"{part.name:<16} {part.version:<24} {part.where}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
