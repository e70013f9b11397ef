"""Upload sessions that end in the middle of a blob, on CNCF distribution: what a copy that is stopped leaves."""

from collections.abc import AsyncIterator

import httpx
import pytest

from schemas.descriptors import Descriptor
from tests.support.registries import DISTRIBUTION_2, DISTRIBUTION_3, RealRegistry
from tests.support.waiting import eventually
from towline.registry import Registries, RegistryClient
from towline.registry.blobs import digest_of
from towline.registry.errors import NotFoundError
from towline.registry.uploads import Upload
from towline.settings import RegistrySettings

pytestmark = pytest.mark.distribution

HALF = bytes(4 * 1024 * 1024)
BLOB = Descriptor(media_type="a/b", digest=digest_of(b"never whole"), size=2 * len(HALF))
WAIT_SECONDS = 20.0


class StoppedError(Exception):
    pass


async def stopped_in_the_middle(client: RegistryClient, registry_url: str) -> Upload:
    """Send half of a blob, and return its session when the registry has some of it."""
    upload = await client.start_upload("team/app")

    async def chunks() -> AsyncIterator[bytes]:
        yield HALF
        raise StoppedError

    with pytest.raises(StoppedError):
        await client.put_blob(upload, BLOB, chunks)
    async with httpx.AsyncClient(base_url=registry_url, trust_env=False) as http:

        async def has_bytes() -> bool:
            answer = await http.get(upload.location)
            return answer.status_code != 204 or answer.headers["range"] != "0-0"

        await eventually(has_bytes, seconds=WAIT_SECONDS, what="bytes in the session")
    return upload


async def given_up(kind: RealRegistry) -> None:
    async with kind.running() as url, Registries({"one": RegistrySettings(url=url)}) as registries:
        client = registries("one")
        upload = await stopped_in_the_middle(client, url)
        await client.cancel_upload(upload)
        with pytest.raises(NotFoundError, match="BLOB_UPLOAD_UNKNOWN"):
            await client.cancel_upload(upload)


async def test_a_session_that_has_bytes_is_found_at_its_present_address_and_given_up() -> None:
    await given_up(DISTRIBUTION_3)


async def test_distribution_2_8_keeps_a_session_that_has_bytes_until_it_purges_old_ones() -> None:
    # It closes such a session before it cancels it, and then the cancelling fails. Nobody can help that from outside.
    with pytest.raises(NotFoundError, match="BLOB_UPLOAD_INVALID"):
        await given_up(DISTRIBUTION_2)
