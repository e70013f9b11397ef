"""Upload sessions: where the bytes of a blob go, and giving one up."""

import asyncio
from dataclasses import dataclass
from typing import Final

import httpx

from towline.registry.errors import RegistryError
from towline.registry.exchange import Exchange, next_location
from towline.registry.refusals import is_lost_upload

#: Before a session is looked for again: what was sent to it may still be on its way into it.
_PAUSES_SECONDS: Final = (0.1, 0.5)


@dataclass(frozen=True, slots=True)
class Upload:
    """An open upload session: where the bytes go."""

    repository: str
    location: httpx.URL


async def give_up(exchange: Exchange, upload: Upload, what: str) -> None:
    """End an upload session without its blob.

    A registry that took bytes of the blob meanwhile may not know the session under the address that it gave before
    them; then it is asked for the present one (distribution specification, upload status). CNCF distribution 2.8 does
    not answer that either: it keeps such a session until it purges old ones.

    Raises:
        NotFoundError: there is no such session, or it cannot be found any more.
        RegistryError: the registry failed or refused.
    """
    location = upload.location
    for pause in _PAUSES_SECONDS:
        try:
            await _delete(exchange, upload.repository, location, what)
        except RegistryError as error:
            if "BLOB_UPLOAD_UNKNOWN" in error.codes or not is_lost_upload(error):
                raise
            await asyncio.sleep(pause)
            location = await _present_location(exchange, upload, what)
        else:
            return
    await _delete(exchange, upload.repository, location, what)


async def _delete(exchange: Exchange, repository: str, location: httpx.URL, what: str) -> None:
    scopes = frozenset({f"repository:{repository}:delete"})
    async with exchange.send("DELETE", location, scopes=scopes, what=what, accept={200, 202, 204}):
        pass


async def _present_location(exchange: Exchange, upload: Upload, what: str) -> httpx.URL:
    scopes = frozenset({f"repository:{upload.repository}:pull,push"})
    async with exchange.send("GET", upload.location, scopes=scopes, what=what, accept={204}) as response:
        return next_location(response, what)
