"""What the local registry holds."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import orjson

DIGEST: Final = re.compile(r"(sha256):[a-f0-9]{64}|(sha512):[a-f0-9]{128}")

#: Layers that live elsewhere by design; a manifest may name them without their being here.
FOREIGN: Final = re.compile(r"nondistributable|\.foreign\.")


class RefusedError(Exception):
    """A request that is not granted: an HTTP status, and a code of the distribution specification."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """The bytes of a manifest with the media type that they were pushed under."""

    media_type: str
    content: bytes
    document: dict[str, Any]

    def references(self) -> list[dict[str, Any]]:
        """Return the descriptors that it names, in order."""
        config = self.document.get("config")
        return [
            *([config] if isinstance(config, dict) else []),
            *self.document.get("layers", []),
            *self.document.get("blobs", []),
            *self.document.get("manifests", []),
        ]


@dataclass(slots=True)
class StoredRepository:
    """One repository. Blobs are shared by all; here is which of them it has."""

    manifests: dict[str, StoredManifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)

    def digest_of(self, reference: str) -> str:
        """Return the digest of a tag or digest that is here."""
        digest = self.tags.get(reference, reference)
        if digest not in self.manifests:
            raise RefusedError(404, "MANIFEST_UNKNOWN", f"no manifest {reference}")
        return digest

    def missing(self, manifest: StoredManifest) -> list[str]:
        """Return the digests that a manifest names and that are not here."""
        return [
            entry["digest"]
            for entry in manifest.references()
            if entry["digest"] not in self.blobs
            and entry["digest"] not in self.manifests
            and not FOREIGN.search(entry.get("mediaType", ""))
        ]

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        """Return the descriptors of the manifests whose subject is ``digest``."""
        found = []
        for own, manifest in sorted(self.manifests.items()):
            if (manifest.document.get("subject") or {}).get("digest") != digest:
                continue
            config = manifest.document.get("config") or {}
            entry = {
                "mediaType": manifest.media_type,
                "digest": own,
                "size": len(manifest.content),
                "artifactType": manifest.document.get("artifactType") or config.get("mediaType"),
                "annotations": manifest.document.get("annotations"),
            }
            found.append({name: value for name, value in entry.items() if value is not None})
        return found


@dataclass(slots=True)
class Store:
    """Everything of one registry."""

    repositories: dict[str, StoredRepository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, tuple[str, bytearray]] = field(default_factory=dict)
    #: Whether an index may name manifests that are not here, as some registries allow.
    sparse: bool = False
    #: Each manifest that was pushed before its content, in words.
    violations: list[str] = field(default_factory=list)

    def repository(self, name: str) -> StoredRepository:
        """Return a repository that exists."""
        found = self.repositories.get(name)
        if found is None:
            raise RefusedError(404, "NAME_UNKNOWN", f"no repository {name}")
        return found

    def blob(self, name: str, digest: str) -> bytes:
        """Return the bytes of a blob that the repository has."""
        if digest not in self.repository(name).blobs:
            raise RefusedError(404, "BLOB_UNKNOWN", f"no blob {digest}")
        return self.blobs[digest]

    def start_upload(self, name: str) -> str:
        """Open an upload session and return its id."""
        session = uuid4().hex
        self.uploads[session] = (name, bytearray())
        return session

    def upload(self, name: str, session: str) -> bytearray:
        """Return the bytes that an open session of this repository has received."""
        owner, content = self.uploads.get(session, ("", bytearray()))
        if owner != name:
            raise RefusedError(404, "BLOB_UPLOAD_UNKNOWN", "no such upload session")
        return content

    def put_blob(self, name: str, digest: str, content: bytes) -> None:
        """Add a blob to a repository."""
        check_digest(digest, content)
        self.blobs[digest] = content
        self.repositories.setdefault(name, StoredRepository()).blobs.add(digest)

    def mount(self, name: str, digest: str, origin: str) -> bool:
        """Add a blob that repository ``origin`` has; False when it has not."""
        if digest not in self.repositories.get(origin, StoredRepository()).blobs:
            return False
        self.repositories.setdefault(name, StoredRepository()).blobs.add(digest)
        return True

    def put_manifest(self, name: str, reference: str, media_type: str, content: bytes) -> tuple[str, StoredManifest]:
        """Add a manifest under a digest or tag; everything that it names has to be there."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if ":" in reference:
            check_digest(reference, content)
            digest = reference
        manifest = StoredManifest(media_type, content, _document(content))
        repository = self.repositories.setdefault(name, StoredRepository())
        missing = [] if self.sparse and "manifests" in manifest.document else repository.missing(manifest)
        if missing:
            self.violations.append(f"{name}:{reference} was pushed before {', '.join(missing)}")
            raise RefusedError(400, "MANIFEST_BLOB_UNKNOWN", f"missing {missing[0]}")
        repository.manifests[digest] = manifest
        if ":" not in reference:
            repository.tags[reference] = digest
        return digest, manifest

    def delete_manifest(self, name: str, reference: str) -> None:
        """Remove a tag, or a manifest with all its tags."""
        repository = self.repository(name)
        if ":" not in reference:
            if repository.tags.pop(reference, None) is None:
                raise RefusedError(404, "MANIFEST_UNKNOWN", f"no tag {reference}")
            return
        del repository.manifests[repository.digest_of(reference)]
        repository.tags = {tag: digest for tag, digest in repository.tags.items() if digest != reference}


def check_digest(digest: str, content: bytes) -> None:
    """Refuse content that does not hash to ``digest``."""
    match = DIGEST.fullmatch(digest)
    if match is None or hashlib.new(match[1] or match[2], content).hexdigest() != digest.partition(":")[2]:
        raise RefusedError(400, "DIGEST_INVALID", "the content does not hash to the digest")


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise RefusedError(400, "MANIFEST_INVALID", "not a JSON object")
    return document
