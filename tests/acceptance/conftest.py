"""Two registries, the first of which tells a gateway of its pushes."""

from collections.abc import Iterator

import pytest

from tests.support.distribution import Endpoint, distribution
from tests.support.stage import HOOK_TOKEN, free_port


@pytest.fixture(scope="module")
def gateway_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def two_registries(gateway_port: int) -> Iterator[dict[str, dict[str, str]]]:
    hook = Endpoint(f"http://127.0.0.1:{gateway_port}/hooks/first", {"Authorization": f"Bearer {HOOK_TOKEN}"})
    with distribution(notify=[hook]) as first, distribution() as second:
        yield {"first": {"url": first}, "second": {"url": second}}
