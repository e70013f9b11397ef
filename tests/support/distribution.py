"""CNCF distribution as a process on a free loopback port: 2.8 (Debian: ``docker-registry``), or 3."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from tests.support.certificates import ServerCertificate
from tests.support.goprograms import DISTRIBUTION_3
from tests.support.needs import go_program, program
from towline.settings import child_environment

#: The one user of a registry with basic authentication.
USER = "mover"
PASSWORD = "towline-test"  # the bcrypt hash below is of this text
_HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuu6Pqq/OtcetZQRiNUAeuOOfIqxz/KaL.\n"

START_SECONDS = 20.0
STOP_SECONDS = 10.0
_STARTS = 3


@dataclass(frozen=True)
class Endpoint:
    """Where notifications go, with headers such as ``Authorization``."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class TokenAuth:
    """The token service that the registry sends its clients to."""

    realm: str
    root_certificate: Path
    service: str = "distribution"
    issuer: str = "towline-tests"


Release = Literal["2.8", "3"]


def binary(release: Release = "2.8") -> str:
    """The program's path; without it the test is skipped, or fails."""
    if release == "3":
        return go_program(DISTRIBUTION_3)
    return program("docker-registry", "CNCF distribution is not installed: apt-get install docker-registry")


@dataclass
class RunningDistribution:
    """A registry whose process a test can kill and start again: on the same address, with the same images."""

    url: str
    _command: Sequence[str]
    _port: int
    _log: Path
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start it and wait until it listens; False when it ended, as it does when somebody took the port before."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=child_environment(OTEL_TRACES_EXPORTER="none"),
            )
        return _answers(self._process, self._port)

    def kill(self) -> None:
        """End it as a power cut would: the notifications that it has not sent are lost."""
        assert self._process is not None, "not started"
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order."""
        assert self._process is not None, "not started"
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def said(self) -> str:
        """The end of what it logged."""
        return self._log.read_text(errors="replace")[-2000:]


@contextmanager
def distribution(
    *,
    release: Release = "2.8",
    notify: Sequence[Endpoint] = (),
    basic: bool = False,
    token: TokenAuth | None = None,
    tls: ServerCertificate | None = None,
    elsewhere: bool = False,
    deletes: bool = True,
) -> Iterator[str]:
    """Run a registry and yield its URL.

    ``basic`` asks for USER and PASSWORD; ``elsewhere`` takes images with layers that are only named, with an address.
    ``deletes`` says whether deleting is allowed.
    """

    def config(folder: Path, port: int) -> dict[str, Any]:
        made = _config(folder, port, notify=notify, basic=basic, token=token, tls=tls)
        made["storage"]["delete"]["enabled"] = deletes
        if elsewhere:
            made["validation"] = {"manifests": {"urls": {"allow": ["^https?://"]}}}
        return made

    with _running(binary(release), config, "https" if tls else "http") as running:
        yield running.url


@contextmanager
def mortal_distribution(notify: Endpoint) -> Iterator[RunningDistribution]:
    """Run a registry that tells of pushes, and that a test may kill and start again."""
    with _running(binary(), lambda folder, port: _config(folder, port, notify=[notify]), "http") as running:
        yield running


@contextmanager
def _running(path: str, config: Callable[[Path, int], dict[str, Any]], scheme: str) -> Iterator[RunningDistribution]:
    with tempfile.TemporaryDirectory(prefix="towline-distribution-") as name:
        folder = Path(name)
        (folder / "htpasswd").write_text(_HTPASSWD)
        for _ in range(_STARTS):
            port = _free_port()
            (folder / "config.yml").write_text(yaml.safe_dump(config(folder, port)))
            command = [path, "serve", str(folder / "config.yml")]
            running = RunningDistribution(f"{scheme}://127.0.0.1:{port}", command, port, folder / "log")
            try:
                if running.start():
                    yield running
                    return
            finally:
                running.stop()
        raise AssertionError(f"distribution did not start: {running.said()}")


def _config(
    folder: Path,
    port: int,
    *,
    notify: Sequence[Endpoint],
    basic: bool = False,
    token: TokenAuth | None = None,
    tls: ServerCertificate | None = None,
) -> dict[str, Any]:
    http: dict[str, Any] = {"addr": f"127.0.0.1:{port}", "secret": "shared"}
    if tls is not None:
        http["tls"] = {"certificate": str(tls.certificate_file), "key": str(tls.key_file)}
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "storage")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": http,
    }
    if notify:
        config["notifications"] = {
            "events": {"includereferences": True},
            "endpoints": [
                {
                    "name": f"endpoint{number}",
                    "url": endpoint.url,
                    "headers": {header: [value] for header, value in endpoint.headers.items()},
                    "timeout": "5s",
                    "threshold": 5,
                    "backoff": "200ms",
                }
                for number, endpoint in enumerate(notify)
            ],
        }
    if basic:
        config["auth"] = {"htpasswd": {"realm": "tests, quoted", "path": str(folder / "htpasswd")}}
    if token is not None:
        config["auth"] = {
            "token": {
                "realm": token.realm,
                "service": token.service,
                "issuer": token.issuer,
                "rootcertbundle": str(token.root_certificate),
            }
        }
    return config


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
