"""The local registry's HTTP side (OCI distribution specification 1.1)."""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from schemas.descriptors import OCI_INDEX
from streams.local_registry.notifications import push_notification
from streams.local_registry.store import RefusedError, Store

Notify = Callable[[dict[str, Any]], Awaitable[None]]
"""Delivers the envelope of one pushed manifest."""

#: Names of one page when the client asks for no number.
PAGE_LENGTH: Final = 100

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d+)-(\d+)")


class LocalRegistry:
    """An ASGI app. ``notify`` is called after each pushed manifest has been answered.

    ``sparse`` lets an index name manifests that are not here.
    """

    def __init__(self, notify: Notify | None = None, *, sparse: bool = False) -> None:
        self.store = Store(sparse=sparse)
        self._notify = notify
        self._app = Starlette(
            routes=[
                Route("/v2/", _version),
                Route("/v2/_catalog", self._catalogue, methods=["GET"]),
                Route("/v2/{name:path}/tags/list", self._tags, methods=["GET"]),
                Route("/v2/{name:path}/referrers/{digest}", self._referrers, methods=["GET"]),
                Route("/v2/{name:path}/manifests/{reference}", self._manifest, methods=["GET", "PUT", "DELETE"]),
                Route("/v2/{name:path}/blobs/uploads/", self._start_upload, methods=["POST"]),
                Route(
                    "/v2/{name:path}/blobs/uploads/{session}", self._upload, methods=["GET", "PATCH", "PUT", "DELETE"]
                ),
                Route("/v2/{name:path}/blobs/{digest}", self._blob, methods=["GET", "DELETE"]),
            ],
            exception_handlers={RefusedError: _refused},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    @property
    def violations(self) -> list[str]:
        """Each manifest that was pushed before its content, in words. It was refused."""
        return self.store.violations

    async def _manifest(self, request: Request) -> Response:
        name, reference = _path(request, "name"), _path(request, "reference")
        if request.method == "PUT":
            return await self._put_manifest(request, name, reference)
        if request.method == "DELETE":
            self.store.delete_manifest(name, reference)
            return Response(status_code=202)
        repository = self.store.repository(name)
        digest = repository.digest_of(reference)
        manifest, entity_tag = repository.manifests[digest], f'"{digest}"'
        if _is_known(request, entity_tag):
            return Response(status_code=304, headers={"etag": entity_tag, "docker-content-digest": digest})
        response = _content(request, manifest.content, manifest.media_type, digest)
        response.headers["etag"] = entity_tag
        return response

    async def _put_manifest(self, request: Request, name: str, reference: str) -> Response:
        media_type = request.headers.get("content-type", "application/octet-stream")
        digest, manifest = self.store.put_manifest(name, reference, media_type, await request.body())
        headers = {"location": f"/v2/{name}/manifests/{digest}", "docker-content-digest": digest}
        subject = manifest.document.get("subject")
        if subject is not None:
            headers["oci-subject"] = subject["digest"]
        background = None
        if self._notify is not None:
            tag = None if ":" in reference else reference
            background = BackgroundTask(self._notify, push_notification(request, name, tag, digest, manifest))
        return Response(status_code=201, headers=headers, background=background)

    async def _catalogue(self, request: Request) -> Response:
        page, headers = _page(request, "/v2/_catalog", self.store.repositories)
        return JSONResponse({"repositories": page}, headers=headers)

    async def _tags(self, request: Request) -> Response:
        name = _path(request, "name")
        page, headers = _page(request, f"/v2/{name}/tags/list", self.store.repository(name).tags)
        return JSONResponse({"name": name, "tags": page}, headers=headers)

    async def _referrers(self, request: Request) -> Response:
        found = self.store.repository(_path(request, "name")).referrers(_path(request, "digest"))
        headers = {}
        wanted = request.query_params.get("artifactType")
        if wanted is not None:
            found = [entry for entry in found if entry.get("artifactType") == wanted]
            headers["oci-filters-applied"] = "artifactType"
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}
        return JSONResponse(index, headers=headers, media_type=OCI_INDEX)

    async def _start_upload(self, request: Request) -> Response:
        name, query = _path(request, "name"), request.query_params
        if "mount" in query and self.store.mount(name, query["mount"], query.get("from", "")):
            return _created(name, query["mount"])
        if "digest" in query:
            self.store.put_blob(name, query["digest"], await request.body())
            return _created(name, query["digest"])
        session = self.store.start_upload(name)
        return _session(name, session, 0)

    async def _upload(self, request: Request) -> Response:
        name, session = _path(request, "name"), _path(request, "session")
        content = self.store.upload(name, session)
        if request.method == "GET":
            return _session(name, session, len(content), status=204)
        if request.method == "DELETE":
            del self.store.uploads[session]
            return Response(status_code=204)
        body = await request.body()
        sent = _CONTENT_RANGE.fullmatch(request.headers.get("content-range", ""))
        if sent is not None and int(sent[1]) != len(content):
            raise RefusedError(416, "BLOB_UPLOAD_INVALID", "this chunk does not follow the one before")
        content += body
        if request.method == "PATCH":
            return _session(name, session, len(content))
        digest = request.query_params.get("digest", "")
        self.store.put_blob(name, digest, bytes(content))
        del self.store.uploads[session]
        return _created(name, digest)

    async def _blob(self, request: Request) -> Response:
        name, digest = _path(request, "name"), _path(request, "digest")
        content = self.store.blob(name, digest)
        if request.method == "DELETE":
            self.store.repository(name).blobs.discard(digest)
            return Response(status_code=202)
        return _content(request, content, "application/octet-stream", digest)


async def _version(request: Request) -> Response:  # noqa: ARG001 - the framework's signature
    return JSONResponse({})


async def _refused(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the framework's signature
    if not isinstance(error, RefusedError):
        raise error
    return JSONResponse({"errors": [{"code": error.code, "message": error.message}]}, status_code=error.status)


def _page(request: Request, path: str, names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    last = request.query_params.get("last", "")
    length = _number(request.query_params.get("n"), PAGE_LENGTH)
    remaining = sorted(name for name in names if name > last)
    page = remaining[:length]
    if page and len(remaining) > length:
        return page, {"link": f'<{path}?n={length}&last={page[-1]}>; rel="next"'}
    return page, {}


def _path(request: Request, name: str) -> str:
    return str(request.path_params[name])


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise RefusedError(400, "PAGINATION_NUMBER_INVALID", "n is not a number")
    return int(text)


def _is_known(request: Request, entity_tag: str) -> bool:
    """Tell whether the client has what it asks for (RFC 9110, If-None-Match; the comparison is the weak one)."""
    asked = ",".join(request.headers.getlist("if-none-match"))
    return asked.strip() == "*" or entity_tag in (tag.strip().removeprefix("W/") for tag in asked.split(","))


def _content(request: Request, content: bytes, media_type: str, digest: str) -> Response:
    headers = {"docker-content-digest": digest, "accept-ranges": "bytes", "content-type": media_type}
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if request.method != "GET" or asked is None:
        return Response(content, headers=headers)
    first, last = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
    if first > last:
        headers["content-range"] = f"bytes */{len(content)}"
        return Response(status_code=416, headers=headers)
    headers["content-range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(content[first : last + 1], status_code=206, headers=headers)


def _session(name: str, session: str, size: int, *, status: int = 202) -> Response:
    headers = {
        "location": f"/v2/{name}/blobs/uploads/{session}",
        "range": f"0-{max(size - 1, 0)}",
        "docker-upload-uuid": session,
    }
    return Response(status_code=status, headers=headers)


def _created(name: str, digest: str) -> Response:
    headers = {"location": f"/v2/{name}/blobs/{digest}", "docker-content-digest": digest}
    return Response(status_code=201, headers=headers)
