"""docker-compose.kafka.yml is a valid Compose file, and says what the settings and the catalogue say."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.validators import validator_for  # type: ignore[import-untyped]

from streams.topics import TOPICS
from towline import limits
from towline.settings import GatewaySettings, KafkaSettings, Settings, load_settings

ROOT = Path(__file__).parents[2]
TOWLINE_SERVICES = {"topics", "gateway", "evaluate", "transfer", "observe", "notify", "seal-key", "seal"}
REGISTRIES = {"local", "production"}


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.kafka.yml").read_text(encoding="utf-8"))


@pytest.fixture
def settings(compose: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The inline settings, read as the containers read them."""
    file = tmp_path / "towline.yaml"
    file.write_text(compose["configs"]["settings"]["content"], encoding="utf-8")
    monkeypatch.setenv("TOWLINE_SETTINGS", str(file))
    monkeypatch.delenv("TOWLINE_KAFKA_BOOTSTRAP", raising=False)
    return load_settings()


def registry_config(compose: Any, name: str) -> Any:
    return yaml.safe_load(compose["configs"][f"{name}-registry"]["content"])


def test_it_is_valid_by_the_compose_specification(compose: Any) -> None:
    vendored = distribution("check-jsonschema").locate_file("check_jsonschema/builtin_schemas/vendor/compose-spec.json")
    schema = json.loads(Path(str(vendored)).read_text(encoding="utf-8"))
    validator = validator_for(schema)(schema)

    assert [error.message for error in validator.iter_errors(compose)] == []
    assert not validator.is_valid({**compose, "services": {"kafka": {"imagee": "typo"}}})


def test_topics_get_the_default_partitions(settings: Settings) -> None:
    assert settings.kafka.partitions == KafkaSettings().partitions
    assert settings.kafka.replication == KafkaSettings().replication


def test_the_broker_takes_the_largest_record_and_makes_no_topic_by_itself(compose: Any) -> None:
    broker = compose["services"]["kafka"]["environment"]

    assert broker["KAFKA_MESSAGE_MAX_BYTES"] == str(limits.record_bytes)
    assert {topic.max_message_bytes for topic in TOPICS.values()} == {limits.record_bytes}
    assert broker["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_settings_name_the_address_that_the_broker_advertises(compose: Any, settings: Settings) -> None:
    advertised = compose["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]

    assert f"INSIDE://{settings.kafka.bootstrap}" in advertised.split(",")


def test_the_gateway_listens_on_the_default_port_and_is_published_there(compose: Any, settings: Settings) -> None:
    port = GatewaySettings().port
    gateway = compose["services"]["gateway"]

    assert settings.gateway.port == port
    assert settings.gateway.host == "0.0.0.0"  # noqa: S104 - inside of its container; the host publishes on loopback
    assert gateway["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/readyz" in gateway["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", sorted(REGISTRIES))
def test_each_registry_notifies_its_own_hook_with_the_token_of_the_settings(
    compose: Any, settings: Settings, name: str
) -> None:
    config = registry_config(compose, name)
    [endpoint] = config["notifications"]["endpoints"]
    hook = settings.hooks[name]

    assert endpoint["url"] == f"http://gateway:{settings.gateway.port}/hooks/{name}"
    assert hook.registry == name
    assert hook.token == ("env:HOOK_TOKEN",)
    assert endpoint["headers"]["Authorization"] == [f"Bearer {compose['x-towline']['environment']['HOOK_TOKEN']}"]
    assert float(endpoint["timeout"].removesuffix("s")) > limits.append_timeout_seconds


@pytest.mark.parametrize("name", sorted(REGISTRIES))
def test_the_settings_reach_each_registry_where_it_listens(compose: Any, settings: Settings, name: str) -> None:
    port = registry_config(compose, name)["http"]["addr"]

    assert settings.registries.keys() == REGISTRIES
    assert settings.registries[name].url == f"http://{name}{port}"
    assert compose["services"][name]["ports"][0].endswith(port)


def test_nothing_of_ours_starts_before_the_topics_are_made(compose: Any) -> None:
    services = compose["services"]

    assert services["topics"]["command"] == ["topics", "create"]
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    ended = {"condition": "service_completed_successfully"}
    for name in TOWLINE_SERVICES - {"topics", "seal"}:
        assert services[name]["depends_on"] == {"topics": ended}
    assert services["seal"]["depends_on"] == {"topics": ended, "seal-key": ended}


def test_the_commands_are_those_of_the_command_line(compose: Any) -> None:
    commands = {name: compose["services"][name]["command"] for name in TOWLINE_SERVICES}

    assert commands == {
        "topics": ["topics", "create"],
        "gateway": ["gateway"],
        "evaluate": ["worker", "evaluate"],
        "transfer": ["worker", "transfer"],
        "observe": ["worker", "observe"],
        "notify": ["worker", "notify"],
        "seal-key": ["audit", "key", "--keep", "/var/lib/towline/seal.pem"],
        "seal": ["worker", "seal"],
    }


def test_images_are_pinned_and_ports_are_on_loopback(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+", service["image"]), name
        for published in service.get("ports", []):
            assert published.startswith("127.0.0.1:"), name


def test_our_containers_cannot_write_outside_of_their_data(compose: Any, settings: Settings) -> None:
    for name in TOWLINE_SERVICES:
        assert compose["services"][name]["read_only"] is True
    for name in ("evaluate", "transfer", "observe", "notify"):
        assert compose["services"][name]["volumes"] == [f"{name}:{settings.data_dir}"]
    for name in ("seal-key", "seal"):
        assert compose["services"][name]["volumes"] == [f"seal:{settings.data_dir}"]
    assert f"VOLUME {settings.data_dir}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_sealer_has_the_key_that_is_made_for_it(compose: Any, settings: Settings) -> None:
    key = compose["services"]["seal-key"]["command"][-1]

    assert settings.audit.key == f"file:{key}"
    assert Path(key).parent == settings.data_dir
    assert settings.audit.file is not None
    assert settings.audit.file.parent == settings.data_dir
