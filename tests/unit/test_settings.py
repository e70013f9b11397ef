"""Settings: the file, the environment over it, and what is refused with its path and without its secrets."""

import re
from pathlib import Path

import pytest

from towline.errors import SettingsError
from towline.settings import child_environment, isolated_environment, load_settings, read_credential, settings_file

EXAMPLE = """
registries:
  local: {url: "http://127.0.0.1:5000/"}
  prod: {url: "https://registry.example", username: robot, password: "env:PROD_PASSWORD"}
hooks:
  ci: {registry: local, dialect: cloudevents, token: "file:token.txt"}
kafka: {bootstrap: "127.0.0.1:9092", partitions: 3}
"""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without settings of the machine that runs the tests, in an empty folder."""
    for name in child_environment():
        if name.startswith("TOWLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(text: str) -> None:
    settings_file().write_text(text, encoding="utf-8")


def test_without_a_file_everything_has_its_default() -> None:
    settings = load_settings()
    assert settings.registries == {}
    assert settings.kafka.bootstrap is None
    assert settings.gateway.host == "127.0.0.1"


def test_the_file_is_read() -> None:
    write(EXAMPLE)
    settings = load_settings()
    assert settings.registries["local"].url == "http://127.0.0.1:5000"
    assert settings.registries["prod"].password == "env:PROD_PASSWORD"
    assert settings.hooks["ci"].dialect == "cloudevents"
    assert settings.kafka.partitions == 3


def test_a_file_that_is_named_is_read_instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(EXAMPLE)
    other = tmp_path / "other.yaml"
    other.write_text("kafka: {partitions: 5}", encoding="utf-8")
    monkeypatch.setenv("TOWLINE_SETTINGS", str(other))
    assert load_settings().kafka.partitions == 5
    assert load_settings().registries == {}


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("TOWLINE_KAFKA_BOOTSTRAP", "broker:9092", "kafka.bootstrap"),
        ("TOWLINE_WORKER_TICK_SECONDS", "2.5", "worker.tick_seconds"),
        ("TOWLINE_WORKER_SESSION_TIMEOUT_SECONDS", "9", "worker.session_timeout_seconds"),
        ("TOWLINE_WORKER_LOG_LEVEL", "debug", "worker.log_level"),
        ("TOWLINE_GATEWAY_PORT", "0", "gateway.port"),
        ("TOWLINE_DATA_DIR", "elsewhere", "data_dir"),
        ("TOWLINE_FAILPOINTS", "evaluator.decided:kill", "failpoints"),
    ],
)
def test_a_variable_sets_one_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str, path: str) -> None:
    monkeypatch.setenv(name, value)
    found: object = load_settings()
    for part in path.split("."):
        found = getattr(found, part)
    assert str(found).removesuffix(".0") == value


def test_a_variable_wins_over_the_file_and_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    write(EXAMPLE)
    monkeypatch.setenv("TOWLINE_KAFKA_BOOTSTRAP", "broker:9092")
    settings = load_settings()
    assert (settings.kafka.bootstrap, settings.kafka.partitions) == ("broker:9092", 3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kafka: {partitions: 0}", "kafka.partitions: "),
        ("kafka: {partition: 3}", "kafka.partition: "),
        ("kafkas: {}", "kafkas: "),
        ("registries: {local: {url: ftp://x}}", "registries.local.url: "),
        ("registries: {local: {url: 'http://user:secret@x'}}", "registries.local.url: "),
        ("registries: {local: {url: 'http://x/path'}}", "registries.local.url: "),
        ("registries: {local: {url: 'http://x', username: me}}", "username and password go together"),
        ("registries: {local: {url: 'http://x', password: 'env:P'}}", "username and password go together"),
        ("registries: {local: {url: 'http://x', username: me, password: secret}}", "registries.local.password: "),
        ("registries: {Local!: {url: 'http://x'}}", "registries.Local!"),
        (
            "hooks: {ci: {registry: nowhere, token: 'env:T'}}",
            "hooks.ci.registry: 'nowhere' is not among the registries",
        ),
        ("hooks: {ci: {registry: local, dialect: morse}}", "hooks.ci.dialect: "),
        ("hooks: {ci: {registry: local}}", "say how its sender is verified, by one of token, basic, header, "),
        (
            "hooks: {ci: {registry: local, anonymous: false}}",
            "or write anonymous: true, and what anybody sends is looked",
        ),
        ("hooks: {ci: {registry: local, token: 'env:A', path: 'env:B'}}", "in one way, not by token and path"),
        ("hooks: {ci: {dialect: harbor, token: 'env:A'}}", "registry: harbor does not say which registry it is"),
        ("hooks: {ci: {registry: local, token: secret}}", "hooks.ci.token.0: "),
        ("hooks: {ci: {registry: local, token: []}}", "hooks.ci.token: "),
        ("hooks: {ci: {registry: local, token: ['env:A', 'env:B', 'env:C']}}", "hooks.ci.token: "),
        (
            "hooks: {ci: {registry: local, hmac: {secret: 'env:A'}}}",
            "hmac.header: distribution has no header of its own",
        ),
        ("hooks: {ci: {registry: local, header: {name: 'a b', value: 'env:A'}}}", "hooks.ci.header.name: "),
        ("hooks: {ci: {registry: local, basic: {username: 'a:b', password: 'env:A'}}}", "hooks.ci.basic.username: "),
        ("hooks: {ci: {registry: local, oidc: {audience: towline}}}", "hooks.ci.oidc.email: "),
        (
            "hooks: {ci: {registry: local, oidc: {audience: a, email: a@b, keys_url: 'http://x'}}}",
            "hooks.ci.oidc.keys_url: ",
        ),
        ("hooks: {ci: {registry: local, token: 'env:A', trust: none}}", "hooks.ci.trust: "),
        ("hooks: {ci: {registry: local, token: 'env:A', rate: 0}}", "hooks.ci.rate: "),
        ("worker: {log_level: loud}", "worker.log_level: "),
        ("kafka: [", "is not YAML"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path_and_without_its_value(text: str, problem: str) -> None:
    write(text)
    with pytest.raises(SettingsError, match=re.escape(problem)) as refused:
        load_settings()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("content", [b"- kafka", b"kafka", b"5", b"kafka: {bootstrap: \xff}"])
def test_a_file_that_is_no_mapping_is_refused(content: bytes) -> None:
    settings_file().write_bytes(content)
    with pytest.raises(SettingsError, match=r"towline\.yaml is not"):
        load_settings()


def test_an_empty_file_sets_nothing() -> None:
    write("")
    assert load_settings() == load_settings(registries={})


def test_a_variable_that_should_be_json_and_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWLINE_REGISTRIES", "{secret")
    with pytest.raises(SettingsError, match="registries") as refused:
        load_settings()
    assert "secret" not in str(refused.value)


def test_a_file_that_is_named_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWLINE_SETTINGS", "nowhere.yaml")
    with pytest.raises(SettingsError, match=r"TOWLINE_SETTINGS names nowhere\.yaml, which is not a file"):
        load_settings()


def test_a_credential_is_read_where_its_reference_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROD_PASSWORD", "from the variable")
    (tmp_path / "token.txt").write_text("from the file\n", encoding="utf-8")
    assert read_credential("env:PROD_PASSWORD") == "from the variable"
    assert read_credential("file:token.txt") == "from the file"


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("env:NOWHERE", "credential env:NOWHERE: there is no such variable"),
        ("file:nowhere", "credential file:nowhere: there is no such file"),
        ("file:.", "credential file:.: there is no such file"),
    ],
)
def test_a_credential_that_is_not_there_is_an_error_that_names_the_reference(reference: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(problem)}$"):
        read_credential(reference)


def test_a_process_gets_our_environment_or_only_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWLINE_DATA_DIR", "ours")
    monkeypatch.setenv("OTHER", "kept")
    assert child_environment(NEW="1") == {**child_environment(), "NEW": "1"}
    assert child_environment()["TOWLINE_DATA_DIR"] == "ours"
    isolated = isolated_environment(TOWLINE_FAILPOINTS="")
    assert isolated["OTHER"] == "kept"
    assert {name for name in isolated if name.startswith("TOWLINE_")} == {"TOWLINE_FAILPOINTS"}


def test_keys_are_files_by_name() -> None:
    write("keys: {release: {file: cosign.pub}}")
    assert load_settings().keys["release"].file == Path("cosign.pub")


@pytest.mark.parametrize("keys", ["{Release: {file: a}}", "{release: a}", "{release: {}}", "{release: {pem: a}}"])
def test_a_key_that_is_not_a_named_file_is_refused(keys: str) -> None:
    write(f"keys: {keys}")
    with pytest.raises(SettingsError, match="keys"):
        load_settings()
