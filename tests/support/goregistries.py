"""Registries with the referrers listing (OCI distribution specification 1.1), as processes on free loopback ports."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tests.support.goprograms import GOREGISTRY
from tests.support.needs import go_program

Kind = Literal["ociregistry", "crane"]

_STOP_SECONDS = 10.0


@contextmanager
def goregistry(kind: Kind, *, page_size: int = 0) -> Iterator[str]:
    """Run a registry in memory and yield its URL; with ``page_size`` its listings come in pages of so many."""
    command = [go_program(GOREGISTRY), "-kind", kind, "-page", str(page_size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, "the registry did not start"
            yield url
        finally:
            process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
