"""What all tests share: the broker, and the report about it."""

from collections.abc import Iterator

import pytest

from tests.support import brokers
from tests.support.brokers import BrokerUnderTest

_SETTLED = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


def pytest_configure() -> None:
    # Fails at once under CI when there is no Kafka, whatever is selected.
    brokers.choice()


def pytest_report_header() -> str:
    return f"broker: {brokers.choice()}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = {outcome: len(terminalreporter.stats.get(outcome, ())) for outcome in _SETTLED}
    found = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
    terminalreporter.write_sep("-", f"{sum(counts.values())} tests ({found}); broker: {brokers.choice()}")


@pytest.fixture(scope="session")
def broker() -> Iterator[BrokerUnderTest]:
    """The broker that tests share; use topic names that no other test uses."""
    with brokers.shared_broker() as shared:
        yield shared


@pytest.fixture(scope="session")
def embedded() -> Iterator[BrokerUnderTest]:
    """The embedded broker, shared."""
    with brokers.embedded() as started:
        yield started


@pytest.fixture
def fresh_broker() -> Iterator[BrokerUnderTest]:
    """An empty broker for one test (about 4 s on Apache Kafka)."""
    with brokers.own_broker() as started:
        yield started


@pytest.fixture(scope="module")
def module_broker() -> Iterator[BrokerUnderTest]:
    """An empty broker for the tests of one module."""
    with brokers.own_broker() as started:
        yield started
