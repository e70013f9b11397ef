"""The real cosign, with a key pair and nothing else: no transparency log, no network but the registries."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.goprograms import COSIGN
from tests.support.needs import slow_go_program
from towline.settings import isolated_environment

_SECONDS: Final = 60.0
_REGISTRY: Final = ("--allow-http-registry", "--allow-insecure-registry")
_NO_LOG: Final = ("--use-signing-config=false", "--tlog-upload=false")


@dataclass(frozen=True)
class Cosign:
    """``old_format`` keeps signatures under tags, as cosign 2 did; the other one keeps bundles as referrers."""

    program: str
    folder: Path
    old_format: bool

    @classmethod
    async def ready(cls, folder: Path, *, old_format: bool) -> "Cosign":
        """Make a key pair in ``folder``; without the program the test is skipped."""
        made = cls(slow_go_program(COSIGN), folder, old_format)
        assert await made._succeeds("generate-key-pair")
        return made

    @property
    def public_key(self) -> bytes:
        return (self.folder / "cosign.pub").read_bytes()

    async def sign(self, reference: str) -> None:
        assert await self._succeeds("sign", *self._signing(), reference)

    async def attest(self, reference: str, sbom: bytes) -> None:
        (self.folder / "sbom.json").write_bytes(sbom)
        kind = ("--type", "cyclonedx", "--predicate", "sbom.json")
        assert await self._succeeds("attest", *kind, *self._signing(), reference)

    async def verifies(self, reference: str) -> bool:
        return await self._succeeds("verify", *self._verifying(), reference)

    async def verifies_attestation(self, reference: str, type_: str = "cyclonedx") -> bool:
        return await self._succeeds("verify-attestation", "--type", type_, *self._verifying(), reference)

    def _signing(self) -> list[str]:
        old = ["--new-bundle-format=false"] if self.old_format else []
        return ["--yes", "--key", "cosign.key", *_NO_LOG, *old, *_REGISTRY]

    @staticmethod
    def _verifying() -> list[str]:
        return ["--key", "cosign.pub", "--insecure-ignore-tlog", *_REGISTRY]

    async def _succeeds(self, *arguments: str) -> bool:
        environment = isolated_environment(COSIGN_PASSWORD="", HOME=str(self.folder))
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            cwd=self.folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), _SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        # Shown by pytest when the test fails.
        print("cosign", *arguments, f"({process.returncode})", said.decode(errors="replace"), sep="\n")  # noqa: T201
        return process.returncode == 0
