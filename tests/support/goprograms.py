"""Programs in Go that the tests and benchmarks run, built once into ``.parts`` from the Go module proxy."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from towline.settings import child_environment

ROOT: Final = Path(__file__).parents[2]

#: A program of usual size takes half a minute on two cores, cosign four minutes.
_BUILD_SECONDS: Final = 1200.0
_ERROR_LENGTH: Final = 600

#: What the programs here ask for; a newer Go, or one from 1.21 that may fetch a newer one, will do.
_GO_VERSION: Final = "1.26"

#: Where Go's own archive goes, which is in the PATH of login shells only.
_GO_FOLDER: Final = "/usr/local/go/bin"


class NotBuiltError(Exception):
    """A program is not there and cannot be built; the text says why."""


@dataclass(frozen=True, slots=True)
class GoProgram:
    """``package`` is the import path of a main package, or the folder of one here."""

    name: str
    version: str
    package: str | Path

    @property
    def path(self) -> Path:
        """Where the program is once it is built. Another version has another place."""
        return ROOT / ".parts" / f"{self.name}-{self.version}" / self.name

    def build(self) -> Path:
        """Build the program unless it is there, and return its path.

        Raises:
            NotBuiltError: there is no Go, or it failed.
        """
        if not self.path.exists():
            self._build()
        return self.path

    def _build(self) -> None:
        go = shutil.which("go") or shutil.which("go", path=_GO_FOLDER)
        if go is None:
            raise NotBuiltError(f"{self.name} is built with Go {_GO_VERSION} or newer, and there is no go")
        # Whole or not at all, also when two build it at once.
        building = self.path.parent.with_name(f"{self.path.parent.name}-{os.getpid()}")
        environment = child_environment(GOBIN=str(building), GOFLAGS="-modcacherw -buildvcs=false", GOWORK="off")
        try:
            subprocess.run(
                [go, *self._arguments(building)],
                check=True,
                capture_output=True,
                env=environment,
                timeout=_BUILD_SECONDS,
                stdin=subprocess.DEVNULL,
            )
            (built,) = building.iterdir()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            built.replace(self.path)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            words = (error.stderr or b"")[-_ERROR_LENGTH:].decode(errors="replace")
            raise NotBuiltError(f"{self.name} {self.version} could not be built: {words}") from error
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _arguments(self, building: Path) -> list[str]:
        strip = ["-ldflags", "-s -w"]
        if isinstance(self.package, Path):
            return ["build", "-C", str(self.package), *strip, "-o", f"{building}{os.sep}", "."]
        return ["install", *strip, f"{self.package}@{self.version}"]


def _ours(name: str) -> GoProgram:
    folder = Path(__file__).parent / name
    content = b"".join((folder / file).read_bytes() for file in ("go.mod", "go.sum", "main.go"))
    return GoProgram(name, hashlib.sha256(content).hexdigest()[:12], folder)


#: Two registries with the referrers listing, see its ``main.go``.
GOREGISTRY: Final = _ours("goregistry")
DISTRIBUTION_3: Final = GoProgram("distribution", "v3.1.2", "github.com/distribution/distribution/v3/cmd/registry")
CRANE: Final = GoProgram("crane", "v0.22.1", "github.com/google/go-containerregistry/cmd/crane")
#: With everything that it is built from it takes longer than all other parts together.
COSIGN: Final = GoProgram("cosign", "v3.1.3", "github.com/sigstore/cosign/v3/cmd/cosign")
