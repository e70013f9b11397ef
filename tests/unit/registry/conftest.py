"""Two registries inside the process, with scripted faults around each, and an engine between them."""

from collections.abc import AsyncIterator

import pytest

from tests.support.pairs import Pair, pair_of_registries


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with pair_of_registries() as made:
        yield made
        made.assert_clean()
