"""The programs that copy, in one form: all tags of one repository to a repository of any registry."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from bench.peers import crane, skopeo

#: What is copied: a repository of the source registry.
SOURCE: Final = "dev/app"

_RUN_SECONDS: Final = 300.0
_COPIER: Final = [sys.executable, "-m", "bench.copier"]

Copy = Callable[[str, str, str], Any]
"""Copies all tags from one registry's URL to another's, into a repository that is named like the source: ``X/app``."""


def by_towline(source: str, target: str, wanted: str) -> dict[str, Any]:
    """Copy in a process of its own."""
    return _report(_run(_COPIER, f"{source} {target} {SOURCE} {wanted}\n"))


@contextmanager
def running_towline() -> Iterator[Copy]:
    """Start the process that copies, and yield what copies with it."""
    with subprocess.Popen(_COPIER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, reports = process.stdin, process.stdout

        def copy(source: str, target: str, wanted: str) -> dict[str, Any]:
            # Whoever waits for a line of a process that is gone gets an empty one.
            deadline = threading.Timer(_RUN_SECONDS, process.kill)
            deadline.start()
            try:
                requests.write(f"{source} {target} {SOURCE} {wanted}\n")
                requests.flush()
                return _report(reports.readline())
            finally:
                deadline.cancel()

        try:
            yield copy
        except BaseException:
            process.kill()
            raise


def _report(line: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(line)
    assert set(report["outcomes"]) <= {"TransferCompleted", "TransferSkipped"}, report
    return report


def by_skopeo() -> Copy:
    plain = ["--src", "docker", "--dest", "docker", "--src-tls-verify=false", "--dest-tls-verify=false"]
    command = [skopeo(), "sync", *plain]

    def copy(source: str, target: str, wanted: str) -> None:
        _run([*command, f"{_host(source)}/{SOURCE}", f"{_host(target)}/{wanted.rpartition('/')[0]}"])

    return copy


def by_crane() -> Copy:
    command = [crane(), "cp", "--all-tags"]

    def copy(source: str, target: str, wanted: str) -> None:
        _run([*command, f"{_host(source)}/{SOURCE}", f"{_host(target)}/{wanted}"])

    return copy


def _host(url: str) -> str:
    return url.partition("://")[2]


def _run(command: Sequence[str], given: str = "") -> str:
    with tempfile.TemporaryFile() as errors:
        ended = subprocess.run(
            command, input=given.encode(), stdout=subprocess.PIPE, stderr=errors, timeout=_RUN_SECONDS, check=False
        )
        errors.seek(0)
        assert ended.returncode == 0, errors.read()[-2000:].decode(errors="replace")
    return ended.stdout.decode()
