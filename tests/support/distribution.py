"""CNCF distribution as a process on a free loopback port: 2.8 (Debian: ``docker-registry``), or 3."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
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
    path = binary(release)
    with tempfile.TemporaryDirectory(prefix="towline-distribution-") as name:
        folder = Path(name)
        (folder / "htpasswd").write_text(_HTPASSWD)
        for _ in range(_STARTS):
            port = _free_port()
            config = _config(folder, port, notify=notify, basic=basic, token=token, tls=tls)
            config["storage"]["delete"]["enabled"] = deletes
            if elsewhere:
                config["validation"] = {"manifests": {"urls": {"allow": ["^https?://"]}}}
            (folder / "config.yml").write_text(yaml.safe_dump(config))
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    [path, "serve", str(folder / "config.yml")],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=child_environment(OTEL_TRACES_EXPORTER="none"),
                )
            try:
                if _answers(process, port):
                    yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
                    return
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        raise AssertionError(f"distribution did not start: {(folder / 'log').read_text()[-2000:]}")


def _config(
    folder: Path,
    port: int,
    *,
    notify: Sequence[Endpoint],
    basic: bool,
    token: TokenAuth | None,
    tls: ServerCertificate | None,
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
    """Wait until it listens; False when it ended, as it does when somebody took the port in between."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
