"""What all tests share: the broker, and the report about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import brokers
from tests.support.brokers import BrokerUnderTest

#: The modules that take longest, longest first. Begun last, one of them alone would keep the others' processes waiting.
_LONG = (
    "chaos/test_copies_interrupted.py",
    "integration/test_faust_is_harmless.py",
    "chaos/test_transferrer_killed.py",
    "chaos/test_evaluator_killed.py",
    "acceptance/test_principals.py",
    "integration/test_observer_on_kafka.py",
    "chaos/test_notifier_killed.py",
    "integration/test_broker_faults.py",
    "integration/test_producers.py",
    "acceptance/test_reconciliation.py",
    "chaos/test_transferrer_interrupted.py",
)
_SETTLED = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


def pytest_configure() -> None:
    # Fails at once under CI when there is no Kafka, whatever is selected.
    brokers.choice()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    turn = {tests / name: number for number, name in enumerate(_LONG)}
    if missing := [str(path) for path in turn if not path.exists()]:
        raise pytest.UsageError(f"tests/conftest.py names modules that there are not: {', '.join(missing)}")
    items.sort(key=lambda item: turn.get(item.path, len(turn)))


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
