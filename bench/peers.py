"""The tools that copies are compared with, and what a comparison without them says."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.support.parts import ROOT
from towline.settings import child_environment

CRANE_VERSION: Final = "v0.22.1"
_CRANE: Final = f"github.com/google/go-containerregistry/cmd/crane@{CRANE_VERSION}"
_FOLDER: Final = ROOT / ".parts" / f"crane-{CRANE_VERSION}"
_BUILD_SECONDS: Final = 300.0


class LeftOutError(Exception):
    """A comparison cannot be made on this machine; the text says why."""


def skopeo() -> str:
    """Return the path of skopeo.

    Raises:
        LeftOutError: it is not installed.
    """
    found = shutil.which("skopeo")
    if found is None:
        raise LeftOutError("skopeo is not installed: apt-get install skopeo")
    return found


def crane() -> str:
    """Return the path of crane, built from the Go module proxy when it is not there yet.

    Raises:
        LeftOutError: it is not there and cannot be built.
    """
    program = _FOLDER / "crane"
    if not program.exists():
        _build(program)
    return str(program)


def _build(program: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise LeftOutError("crane is not here, and there is no go to build it with")
    building = _FOLDER.with_name(f"{_FOLDER.name}-{os.getpid()}")
    environment = child_environment(GOBIN=str(building), GOFLAGS="-modcacherw")
    try:
        subprocess.run(
            [go, "install", _CRANE], check=True, capture_output=True, env=environment, timeout=_BUILD_SECONDS
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise LeftOutError(
            f"crane could not be built: {(error.stderr or b'')[-300:].decode(errors='replace')}"
        ) from error
    _FOLDER.mkdir(parents=True, exist_ok=True)
    (building / "crane").replace(program)
    building.rmdir()
