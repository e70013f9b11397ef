"""Topics are made as the catalogue says, and anything else is refused before it can lose history."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.provision import create_topics, require_topics, verify_topics
from streams.topics import COMMANDS, DECISIONS, EVENTS, INBOUND, TOPICS
from tests.support.brokers import BrokerUnderTest
from tests.support.logs import make_topic
from tests.support.waiting import eventually
from towline.errors import LogError, LogUnavailableError, SettingsError, TopicMismatchError
from towline.settings import KafkaSettings

pytestmark = pytest.mark.kafka


@asynccontextmanager
async def administering(broker: BrokerUnderTest) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def alter(broker: BrokerUnderTest, topic: str, name: str, value: str) -> None:
    """Change one setting of a topic, and wait until the broker has it."""
    async with administering(broker) as admin:
        changed = ConfigResource(ConfigResourceType.TOPIC, topic, TOPICS[topic].settings | {name: value})
        answers = await admin.alter_configs([changed])
        assert [resource[0] for answer in answers for resource in answer.resources] == [0]

        async def is_changed() -> bool:
            found = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: None})])
            return bool(found[0].resources[0][4][0][1] == value)

        await eventually(is_changed, seconds=30, what=f"{topic} has {name}={value}")


async def delete_topics(broker: BrokerUnderTest) -> None:
    async with administering(broker) as admin:
        if ours := [name for name in await admin.list_topics() if name in TOPICS]:
            await admin.delete_topics(ours)

        async def are_gone() -> bool:
            return not TOPICS.keys() & set(await admin.list_topics())

        await eventually(are_gone, seconds=30, what="the topics are deleted")


@pytest.fixture
async def settings(module_broker: BrokerUnderTest) -> KafkaSettings:
    """Settings of a broker without any topic of ours."""
    await delete_topics(module_broker)
    return KafkaSettings(bootstrap=module_broker.bootstrap, partitions=3)


async def test_topics_are_created_as_the_catalogue_says(settings: KafkaSettings) -> None:
    report = await create_topics(settings)

    assert report.created == tuple(TOPICS)
    assert report.existing == ()
    assert await verify_topics(settings) == []
    await require_topics(settings)


async def test_creating_again_changes_nothing(settings: KafkaSettings) -> None:
    await create_topics(settings)
    report = await create_topics(settings)

    assert report.created == ()
    assert report.existing == tuple(TOPICS)


async def test_only_missing_topics_are_created(settings: KafkaSettings) -> None:
    await make_topic(str(settings.bootstrap), EVENTS)
    report = await create_topics(settings)

    assert report.existing == (EVENTS,)
    assert set(report.created) == set(TOPICS) - {EVENTS}


async def test_missing_topics_are_refused_by_name_with_the_command_that_makes_them(settings: KafkaSettings) -> None:
    assert await verify_topics(settings) == [f"{name}: missing" for name in TOPICS]
    with pytest.raises(TopicMismatchError, match=r"towline\.events: missing[\s\S]*towline topics create"):
        await require_topics(settings)


async def test_another_number_of_partitions_is_refused(settings: KafkaSettings) -> None:
    await create_topics(settings)
    other = settings.model_copy(update={"partitions": 4})

    assert await verify_topics(other) == [f"{name}: partitions is 3, must be 4" for name in TOPICS]
    with pytest.raises(TopicMismatchError, match="number of partitions cannot change"):
        await require_topics(other)


@pytest.mark.parametrize(
    ("topic", "difference"),
    [
        (EVENTS, "retention.ms is 604800000, must be -1"),
        (EVENTS, "retention.bytes is 1073741824, must be -1"),
        (DECISIONS, "cleanup.policy is compact, must be delete"),
        (COMMANDS, "max.message.bytes is 1048576, must be 8388608"),
        (INBOUND, "retention.ms is -1, must be 604800000"),
    ],
)
async def test_a_setting_that_differs_is_refused(
    settings: KafkaSettings, module_broker: BrokerUnderTest, topic: str, difference: str
) -> None:
    await create_topics(settings)
    name, _, value = difference.partition(",")[0].partition(" is ")
    await alter(module_broker, topic, name, value)

    assert await verify_topics(settings) == [f"{topic}: {difference}"]
    with pytest.raises(TopicMismatchError, match=f"{topic}: {name} is {value}"):
        await require_topics(settings)


async def test_all_differences_are_told_at_once(settings: KafkaSettings, module_broker: BrokerUnderTest) -> None:
    await create_topics(settings)
    await alter(module_broker, EVENTS, "retention.ms", "1000")
    await alter(module_broker, DECISIONS, "cleanup.policy", "compact")

    with pytest.raises(TopicMismatchError) as refused:
        await require_topics(settings)

    assert f"{EVENTS}: retention.ms" in str(refused.value)
    assert f"{DECISIONS}: cleanup.policy" in str(refused.value)


async def test_a_replication_that_the_broker_cannot_give_is_told(settings: KafkaSettings) -> None:
    with pytest.raises(LogError, match=r"towline\.inbound: InvalidReplicationFactorError") as refused:
        await create_topics(settings.model_copy(update={"replication": 3}))

    assert not refused.value.retryable


async def test_a_broker_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(LogUnavailableError, match=r"connect to 127\.0\.0\.1:1"):
        await verify_topics(KafkaSettings(bootstrap="127.0.0.1:1"))


async def test_no_broker_in_the_settings_is_told_with_the_name_of_the_variable() -> None:
    with pytest.raises(SettingsError, match="TOWLINE_KAFKA_BOOTSTRAP"):
        await create_topics(KafkaSettings())


async def test_the_embedded_broker_is_checked_like_any_other(embedded: BrokerUnderTest) -> None:
    settings = KafkaSettings(bootstrap=embedded.bootstrap, partitions=3)
    await create_topics(settings)

    assert await verify_topics(settings) == []
    other = settings.model_copy(update={"partitions": 4})
    assert await verify_topics(other) == [f"{name}: partitions is 3, must be 4" for name in TOPICS]
