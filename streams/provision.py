"""Makes the topics, and checks that they are as the catalogue says. Nothing runs on topics that forget."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.kafka_errors import translated
from streams.kafka_options import client_options
from streams.topics import TOPICS, Topic
from towline import limits
from towline.errors import LogError, LogUnavailableError, TopicMismatchError
from towline.settings import KafkaSettings

_POLL_SECONDS: Final = 0.1

#: What Kafka does when a topic does not say it, for brokers that only report what was set.
_DEFAULTS: Final = {"retention.bytes": "-1", "compression.type": "producer"}


@dataclass(frozen=True, slots=True)
class ProvisionReport:
    """What :func:`create_topics` did, by topic name, each in the catalogue's order."""

    created: tuple[str, ...]
    existing: tuple[str, ...]


async def create_topics(settings: KafkaSettings) -> ProvisionReport:
    """Create the topics that are missing, and wait until they can be used.

    Existing ones are left as they are, whatever they are: :func:`require_topics` tells.

    Raises:
        LogError: the broker refuses, for example a replication that it cannot give.
        LogUnavailableError: the broker does not answer, or the topics do not appear in time.
    """
    async with _admin(settings) as admin:
        known = {topic["topic"] for topic in await _described(admin)}
        missing = [topic for topic in TOPICS.values() if topic.name not in known]
        if missing:
            with translated("create topics"):
                answer = await admin.create_topics([_new(topic, settings) for topic in missing])
            created = tuple(name for name, *outcome in answer.topic_errors if _was_created(name, *outcome))
            await _until_served(admin)
        else:
            created = ()
    return ProvisionReport(created, tuple(name for name in TOPICS if name not in created))


async def verify_topics(settings: KafkaSettings) -> list[str]:
    """Return how the topics differ from the catalogue and the settings, one line for each difference.

    Raises:
        LogError: the broker refuses to tell.
        LogUnavailableError: the broker does not answer.
    """
    async with _admin(settings) as admin:
        partitions = {topic["topic"]: len(topic["partitions"]) for topic in await _described(admin)}
        present = [topic for topic in TOPICS.values() if topic.name in partitions]
        found = await _topic_settings(admin, present)
    differences = []
    for topic in TOPICS.values():
        if topic.name not in partitions:
            differences.append(f"{topic.name}: missing")
            continue
        if (number := partitions[topic.name]) != settings.partitions:
            differences.append(f"{topic.name}: partitions is {number}, must be {settings.partitions}")
        differences += _setting_differences(topic, found[topic.name])
    return differences


async def require_topics(settings: KafkaSettings) -> None:
    """Check the topics before anything runs on them.

    Raises:
        TopicMismatchError: a topic is missing or differs; the text has all differences and what to do.
        LogError: the broker refuses to tell.
        LogUnavailableError: the broker does not answer.
    """
    differences = await verify_topics(settings)
    if differences:
        raise TopicMismatchError(
            "the topics are not as they must be:\n"
            + "\n".join(f"  {difference}" for difference in differences)
            + "\nMissing topics are made by: towline topics create"
            + "\nSettings are changed with: kafka-configs.sh --alter --entity-type topics --entity-name TOPIC "
            "--add-config NAME=VALUE"
            + "\nThe number of partitions cannot change, it decides which partition has a key: set kafka.partitions to "
            "what the topics have, or make them anew on another cluster and copy the log"
        )


def _new(topic: Topic, settings: KafkaSettings) -> NewTopic:
    return NewTopic(topic.name, settings.partitions, settings.replication, topic_configs=topic.settings)


def _was_created(name: str, code: int, message: str | None) -> bool:
    """Tell creation from a topic that somebody else created at the same time."""
    error = errors.for_code(code)
    if error is errors.NoError:
        return True
    if error is errors.TopicAlreadyExistsError:
        return False
    raise LogError(f"create topic {name}: {error.__name__}: {message or error.description}")


def _setting_differences(topic: Topic, found: dict[str, str]) -> list[str]:
    differences = []
    for name, wanted in topic.settings.items():
        value = found.get(name, _DEFAULTS.get(name, "not set"))
        if value != wanted:
            differences.append(f"{topic.name}: {name} is {value}, must be {wanted}")
    return differences


async def _topic_settings(admin: AIOKafkaAdminClient, topics: list[Topic]) -> dict[str, dict[str, str]]:
    if not topics:
        return {}
    # Without a list of names: the embedded broker cannot read one.
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    with translated("read the settings of the topics"):
        answers = await admin.describe_configs(resources)
    found: dict[str, dict[str, str]] = {}
    for code, message, _, name, entries in (entry for answer in answers for entry in answer.resources):
        if code:
            raise LogError(f"read the settings of {name}: {errors.for_code(code).__name__}: {message}")
        found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _described(admin: AIOKafkaAdminClient) -> list[dict[str, Any]]:
    # All topics, since asking for one by name would create it on a broker that allows this.
    with translated("list the topics"):
        return list(await admin.describe_topics())


async def _until_served(admin: AIOKafkaAdminClient) -> None:
    """Wait until all topics have leaders: brokers learn of new ones after the controller has answered."""
    for _ in range(int(limits.append_timeout_seconds / _POLL_SECONDS)):
        if _all_led(await _described(admin)):
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise LogUnavailableError("the new topics did not appear in time; run the command again")


def _all_led(topics: list[dict[str, Any]]) -> bool:
    led = {topic["topic"] for topic in topics if all(part["leader"] >= 0 for part in topic["partitions"])}
    return led.issuperset(TOPICS)


@asynccontextmanager
async def _admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        with translated(f"connect to {settings.bootstrap}"):
            await admin.start()
        yield admin
    finally:
        await admin.close()
