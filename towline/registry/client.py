"""A client for one registry (OCI distribution specification 1.1): the requests that a copy is made of."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from schemas.descriptors import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor
from towline import limits
from towline.net.egress.guard import Egress
from towline.net.http import USER_AGENT
from towline.net.redact import redact_url
from towline.registry.answers import capped, media_type_of
from towline.registry.blobs import digest_of, verified, verify_digest
from towline.registry.download import body_from, whole
from towline.registry.errors import (
    DeniedError,
    NotFoundError,
    ProtocolError,
    RefusedError,
    RegistryError,
    RemovalRefusedError,
    SizeMismatchError,
    TagImmutableError,
    TooLargeError,
    UnauthorisedError,
    UnsupportedManifestError,
    UploadLostError,
)
from towline.registry.exchange import Exchange, next_location
from towline.registry.manifests import Manifest, parse_manifest
from towline.registry.pace import Sleep
from towline.registry.pages import members, names, pages
from towline.registry.refusals import compare_claim, is_immutable_tag, is_lost_upload
from towline.registry.tokens import Scopes
from towline.registry.uploads import Upload, give_up
from towline.settings import RegistrySettings

#: Registries answer 404 to a type that the client does not name, so all known ones are, and then any.
MANIFEST_ACCEPT: Final = ", ".join([OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX, "*/*;q=0.5"])

_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")
#: Up to some petabytes; a number beyond is no size.
_SIZE = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Named:
    """What a tag points to, as far as the registry says."""

    digest: str
    media_type: str | None
    size: int | None


class RegistryClient:
    """One registry, by the name that it has in the settings. Repositories are named without the registry.

    All methods raise :class:`RegistryError`; methods that read take ``push=True`` when the same repository is about to
    be written, so that one token serves both.
    """

    def __init__(self, name: str, settings: RegistrySettings, *, egress: Egress, sleep: Sleep = asyncio.sleep) -> None:
        self.name = name
        self._exchange = Exchange(name, settings, egress=egress, sleep=sleep)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._exchange.aclose()

    async def resolve(self, repository: str, tag: str, *, push: bool = False) -> str:
        """Return the digest that ``tag`` points to.

        Raises:
            NotFoundError: there is no such tag.
        """
        return (await self.look_up(repository, tag, push=push)).digest

    async def look_up(self, repository: str, tag: str, *, known: str | None = None, push: bool = False) -> Named:
        """Return what ``tag`` points to; of one that still has the digest ``known``, that digest alone.

        ``known`` makes it a conditional request (RFC 9110, If-None-Match): registries take a digest for the entity tag
        of its manifest, and those that take none for one answer as ever.

        Raises:
            NotFoundError: there is no such tag.
            ProtocolError: 304 although nothing is known.
            DigestMismatchError: 304, and a digest that is not the known one.
        """
        url, scopes = self._manifest_url(repository, tag), _scopes(repository, push=push)
        what = f"{self.name}: resolve {repository}:{tag}"
        headers = {"accept": MANIFEST_ACCEPT}
        asked = headers if known is None else {**headers, "if-none-match": f'"{known}"'}
        async with self._exchange.send(
            "HEAD", url, scopes=scopes, what=what, accept={200, 304}, headers=asked
        ) as response:
            if response.status_code == 304:
                if known is None:
                    raise ProtocolError(f"{what}: 304 to a request without a condition", url=str(response.url))
                compare_claim(response, known, what)
                return Named(known, None, None)
            digest, size = response.headers.get("docker-content-digest", ""), response.headers.get("content-length", "")
            if _DIGEST.fullmatch(digest):
                return Named(digest, media_type_of(response), int(size) if _SIZE.fullmatch(size) else None)
        async with self._exchange.send("GET", url, scopes=scopes, what=what, accept={200}, headers=headers) as response:
            content = await capped(response, what)
            return Named(digest_of(content), media_type_of(response), len(content))

    async def get_manifest(self, repository: str, digest: str, *, push: bool = False) -> Manifest:
        """Return a manifest with its verbatim bytes, proven to be those of ``digest``.

        Raises:
            NotFoundError: there is none.
            DigestMismatchError: the registry sent other bytes, or claims another digest for them.
            UnsupportedManifestError: docker schema 1, or not a manifest.
            TooLargeError: more than the bound of a manifest.
        """
        url, what = self._manifest_url(repository, digest), f"{self.name}: read manifest {repository}@{digest}"
        async with self._exchange.send(
            "GET",
            url,
            scopes=_scopes(repository, push=push),
            what=what,
            accept={200},
            headers={"accept": MANIFEST_ACCEPT},
        ) as response:
            content = await capped(response, what)
        verify_digest(content, digest, url=str(response.url))
        compare_claim(response, digest, what)
        return parse_manifest(content, digest, response.headers.get("content-type", ""))

    async def has_manifest(self, repository: str, digest: str, *, push: bool = False) -> bool:
        """Tell if the repository has this manifest."""
        url, what = self._manifest_url(repository, digest), f"{self.name}: look for {repository}@{digest}"
        return await self._has(url, _scopes(repository, push=push), what, {"accept": MANIFEST_ACCEPT})

    async def put_manifest(
        self, repository: str, reference: str, manifest: Manifest, *, agent: str = USER_AGENT
    ) -> bool:
        """Write a manifest under its digest or a tag, byte for byte, as user agent ``agent``.

        Returns whether the registry lists it under its subject by itself (``OCI-Subject``).

        Raises:
            TagImmutableError: the tag exists and may not be moved.
            ContentMissingError: the registry misses something that the manifest names.
            UnsupportedManifestError: the registry takes no layers that are kept elsewhere.
        """
        what = f"{self.name}: write {repository}:{reference}"
        try:
            async with self._exchange.send(
                "PUT",
                self._manifest_url(repository, reference),
                scopes=_scopes(repository, push=True),
                what=what,
                accept={200, 201, 202},
                headers={"content-type": manifest.media_type, "user-agent": agent},
                body=manifest.content,
            ) as response:
                compare_claim(response, manifest.digest, what)
                return "oci-subject" in response.headers
        except RegistryError as error:
            if ":" not in reference and is_immutable_tag(error):
                raise TagImmutableError(str(error), status=error.status, codes=error.codes) from error
            # distribution says so of layers that are kept elsewhere without an address that it likes.
            if error.status == 500 and "UNKNOWN" in error.codes and manifest.names_foreign_layers():
                reason = f"{what}: the registry does not take layers that are kept elsewhere"
                raise UnsupportedManifestError(reason, status=error.status, codes=error.codes) from error
            raise

    async def has_blob(self, repository: str, digest: str, *, push: bool = False) -> bool:
        """Tell if the repository has this blob."""
        url, what = self._blob_url(repository, digest), f"{self.name}: look for blob {repository}@{digest}"
        return await self._has(url, _scopes(repository, push=push), what, {})

    @asynccontextmanager
    async def open_blob(self, repository: str, blob: Descriptor) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a blob and yield its chunks; the stream fails at its end when they are not what ``blob`` names.

        A connection that breaks in between is replaced, and only what is missing is read over the new one.

        Raises:
            NotFoundError: there is none.
            SizeMismatchError, DigestMismatchError: the content is something else.
            ProtocolError: the content is encoded, although identity was asked for.
        """
        async with whole(lambda offset: self._blob_from(repository, blob.digest, offset)) as chunks:
            yield verified(chunks, blob)

    @asynccontextmanager
    async def _blob_from(self, repository: str, digest: str, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        what, url = f"{self.name}: read blob {repository}@{digest}", self._blob_url(repository, digest)
        accept, headers = ({200, 206, 416}, {"range": f"bytes={offset}-"}) if offset else ({200}, {})
        async with self._exchange.send(
            "GET", url, scopes=_scopes(repository), what=what, accept=accept, headers=headers
        ) as response:
            if response.status_code == 416:
                raise SizeMismatchError(
                    f"{what}: nothing there from byte {offset} on", url=str(response.url), status=416
                )
            encoding = response.headers.get("content-encoding", "identity")
            if encoding.lower() != "identity":
                raise ProtocolError(f"{what}: sent with Content-Encoding {encoding[:32]!r}", url=str(response.url))
            yield self._paced(body_from(response, offset, what))

    async def _paced(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            await self._exchange.pace.moved(len(chunk))
            yield chunk

    async def read_blob(self, repository: str, blob: Descriptor, size_max: int) -> bytes:
        """Return a small blob, proven to be what ``blob`` names.

        Raises:
            NotFoundError: there is none.
            TooLargeError: it is larger than ``size_max``; then it is not asked for.
            SizeMismatchError, DigestMismatchError: the content is something else.
        """
        if blob.size > size_max:
            raise TooLargeError(f"{self.name}: blob {repository}@{blob.digest} has {blob.size} bytes of {size_max}")
        async with self.open_blob(repository, blob) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def mount_blob(self, repository: str, digest: str, origin: str) -> Upload | None:
        """Ask for a blob that repository ``origin`` of this registry has.

        Returns None when the blob is there now, an upload session when the registry wants the bytes instead.
        """
        scopes = _scopes(repository, push=True) | _scopes(origin)
        query = {"mount": digest, "from": origin}
        try:
            return await self._start(repository, scopes, query)
        except (NotFoundError, DeniedError, UnauthorisedError, RefusedError):
            # Mounting is an offer, which a registry may not know or not grant; the upload itself decides.
            return await self.start_upload(repository)

    async def start_upload(self, repository: str) -> Upload:
        """Open an upload session.

        Raises:
            NotFoundError: there is no such repository, and the registry makes none by itself.
        """
        try:
            upload = await self._start(repository, _scopes(repository, push=True), {})
        except NotFoundError as error:
            what = f"{self.name} has no repository {repository} and makes none by itself: create it there"
            raise NotFoundError(what, status=error.status, codes=error.codes, words=error.words) from error
        if upload is None:
            raise ProtocolError(f"{self.name}: 201 to an upload in {repository} that has not begun")
        return upload

    async def _start(self, repository: str, scopes: Scopes, query: dict[str, str]) -> Upload | None:
        url = self._exchange.url(f"/v2/{repository}/blobs/uploads/").copy_with(params=query)
        what = f"{self.name}: open an upload in {repository}"
        async with self._exchange.send(
            "POST", url, scopes=scopes, what=what, accept={201, 202}, headers={"content-length": "0"}
        ) as response:
            if response.status_code == 201:
                return None
            return Upload(repository, next_location(response, what))

    async def put_blob(self, upload: Upload, blob: Descriptor, chunks: Callable[[], AsyncIterator[bytes]]) -> None:
        """Send a whole blob and close the session. ``chunks`` opens the content; what it raises comes through.

        Raises:
            UploadLostError: the session is not known any more.
            DigestMismatchError: the registry received something else.
        """
        location = upload.location.copy_merge_params({"digest": blob.digest})
        what = f"{self.name}: write blob {upload.repository}@{blob.digest}"
        try:
            async with self._exchange.send(
                "PUT",
                location,
                scopes=_scopes(upload.repository, push=True),
                what=what,
                accept={200, 201, 204},
                headers={"content-type": "application/octet-stream", "content-length": str(blob.size)},
                body=chunks,
            ) as response:
                compare_claim(response, blob.digest, what)
        except RegistryError as error:
            # Not what the source answered while it was read, which comes through here.
            if error.url == redact_url(str(location)) and is_lost_upload(error):
                raise UploadLostError(str(error), status=error.status, codes=error.codes) from error
            raise

    async def cancel_upload(self, upload: Upload) -> None:
        """Give up an upload session, also one that has bytes already.

        Raises:
            NotFoundError: there is no such session, or it cannot be found any more.
        """
        await give_up(self._exchange, upload, f"{self.name}: give up an upload in {upload.repository}")

    async def list_tags(self, repository: str) -> AsyncGenerator[str, None]:
        """Yield the tags of a repository, in the registry's order.

        Raises:
            NotFoundError: there is no such repository.
            TooLargeError: more pages than the bound, or a page that is too large.
            RedirectRefusedError: the next page is at another host.
        """
        url, what = self._exchange.url(f"/v2/{repository}/tags/list"), f"{self.name}: list tags of {repository}"
        async for page in pages(self._exchange, url, _scopes(repository), what):
            for tag in names(page.content, "tags", what):
                yield tag

    async def list_repositories(self) -> AsyncGenerator[str, None]:
        """Yield the repositories of the registry, in its order.

        Raises:
            NotFoundError, DeniedError: the registry has no catalogue, or not for us.
            TooLargeError: more pages than the bound, or a page that is too large.
            RedirectRefusedError: the next page is at another host.
        """
        url, what = self._exchange.url("/v2/_catalog"), f"{self.name}: list repositories"
        async for page in pages(self._exchange, url, frozenset({"registry:catalog:*"}), what):
            for name in names(page.content, "repositories", what):
                yield name

    async def list_referrers(self, repository: str, digest: str, *, push: bool = False) -> list[Any] | None:
        """Return the descriptors, as the registry writes them, of the manifests whose subject is ``digest``.

        None: the registry has no such listing (OCI distribution specification before 1.1).

        Raises:
            TooLargeError: more entries or pages than the bound.
        """
        url = self._exchange.url(f"/v2/{repository}/referrers/{digest}")
        what = f"{self.name}: list referrers of {repository}@{digest}"
        found: list[Any] = []
        try:
            async for page in pages(self._exchange, url, _scopes(repository, push=push), what):
                # A server that does not know the path may answer with a page for people.
                if page.media_type != OCI_INDEX:
                    return None
                found += members(page.content, "manifests", what)
                if len(found) > limits.referrer_count:
                    raise TooLargeError(f"{what}: more than {limits.referrer_count}")
        except (NotFoundError, RefusedError):
            return None
        return found

    async def ping(self) -> None:
        """Ask the registry whether it is one, and takes the credentials."""
        url, what = self._exchange.url("/v2/"), f"{self.name}: reach the registry"
        async with self._exchange.send("GET", url, scopes=frozenset(), what=what, accept={200}):
            pass

    async def delete_manifest(self, repository: str, reference: str) -> None:
        """Remove a tag and leave what it points to; or a manifest by its digest, with all tags that point to it.

        Raises:
            NotFoundError: there is no such tag or manifest.
            RemovalRefusedError: the registry does not do this: many remove no single tags, or nothing at all.
        """
        what = f"{self.name}: remove {repository}{'@' if ':' in reference else ':'}{reference}"
        url, scopes = self._manifest_url(repository, reference), frozenset({f"repository:{repository}:delete"})
        try:
            async with self._exchange.send("DELETE", url, scopes=scopes, what=what, accept={200, 202, 204}):
                pass
        except RegistryError as error:
            # distribution 2.8 says that a tag is no valid digest, under 400; the specification asks for 400 or 405.
            if error.status in {400, 405, 501}:
                raise RemovalRefusedError(str(error), status=error.status, codes=error.codes) from error
            raise

    async def _has(self, url: httpx.URL, scopes: Scopes, what: str, headers: dict[str, str]) -> bool:
        async with self._exchange.send(
            "HEAD", url, scopes=scopes, what=what, accept={200, 404}, headers=headers
        ) as response:
            return response.status_code == 200

    def _manifest_url(self, repository: str, reference: str) -> httpx.URL:
        return self._exchange.url(f"/v2/{repository}/manifests/{quote(reference, safe=':')}")

    def _blob_url(self, repository: str, digest: str) -> httpx.URL:
        return self._exchange.url(f"/v2/{repository}/blobs/{digest}")


def _scopes(repository: str, *, push: bool = False) -> Scopes:
    return frozenset({f"repository:{repository}:{'pull,push' if push else 'pull'}"})
