"""What tests of a copy against misbehaving registries share."""

import json

from schemas.descriptors import Descriptor
from schemas.events import TransferCompleted, TransferFailed
from tests.support.images import assert_complete
from tests.support.pairs import Pair

BLOB = r"/blobs/sha256:"
UPLOAD = r"/blobs/uploads/\w+\?"
TAG = r"/manifests/1\.0\?"
MANIFEST = r"/manifests/sha256:"
WRITE = r"/manifests/"


def errors(code: str, message: str = "") -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def failed(outcome: object) -> TransferFailed:
    assert isinstance(outcome, TransferFailed), outcome
    return outcome


async def completed(pair: Pair, image: Descriptor) -> TransferCompleted:
    outcome = await pair.carry_out(image)
    assert isinstance(outcome, TransferCompleted), outcome
    assert pair.target_digest() == image.digest
    await assert_complete(pair.target_client, "qa/app", image.digest)
    return outcome
