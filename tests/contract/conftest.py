"""One registry after the other: the same promises hold on all."""

from collections.abc import AsyncIterator

import pytest

from tests.support.registries import ALL, LOCAL, Contract, RealRegistry
from towline.registry import Registries
from towline.settings import RegistrySettings


def _param(kind: RealRegistry) -> object:
    return pytest.param(kind, id=kind.name, marks=[] if kind is LOCAL else pytest.mark.distribution)


@pytest.fixture(params=[_param(kind) for kind in ALL])
async def registry(request: pytest.FixtureRequest) -> AsyncIterator[Contract]:
    kind: RealRegistry = request.param
    async with kind.running() as url, Registries({"one": RegistrySettings(url=url)}) as registries:
        yield Contract(kind, registries("one"), registries, request)
