"""Who reaches the broker how, and which rights each part is given."""

import json
import ssl
from pathlib import Path

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from pydantic import ValidationError
from typer.testing import CliRunner

from agents.app import make_app
from streams.cli import app
from streams.kafka_options import client_options, consumer_options, producer_options
from streams.principals import Grant, grants, principal_of, writers
from streams.topics import EVENTS, TOPICS
from streams.workers import ROLES
from tests.support.certificates import make_server_certificate
from towline.errors import SettingsError
from towline.settings import KafkaSettings, Settings

LOGIN = {"username": "somebody", "password": "env:KAFKA_PASSWORD"}
SECRET = "not to be seen"


def kafka(bootstrap: str = "broker:9092", **members: object) -> KafkaSettings:
    return KafkaSettings.model_validate({"bootstrap": bootstrap, **members})


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"security_protocol": "sasl_ssl"}, "needs username and password"),
        ({"security_protocol": "sasl_ssl", "username": "somebody"}, "needs username and password"),
        ({"security_protocol": "ssl", **LOGIN}, "username is shown to nobody"),
        ({"password": "env:KAFKA_PASSWORD"}, "password is shown to nobody"),
        ({"ca_file": "ca.pem"}, "ca_file has a use only with"),
        ({"security_protocol": "sasl_plaintext", "ca_file": "ca.pem", **LOGIN}, "ca_file has a use only with"),
        ({"security_protocol": "ssl", "bootstrap": None}, "needs bootstrap"),
        ({"security_protocol": "kerberos"}, "security_protocol"),
        ({"security_protocol": "sasl_ssl", "username": "somebody", "password": SECRET}, "password"),
    ],
)
def test_members_that_do_not_fit_together_are_refused(members: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        kafka(**members)


@pytest.mark.parametrize(
    "bootstrap", ["broker:9092", "127.0.0.1:9092,10.0.0.7:9092", "[2001:db8::1]:9092", "0.0.0.0:9"]
)
def test_a_password_does_not_leave_this_machine_readable(bootstrap: str) -> None:
    with pytest.raises(ValidationError, match="would get the password readable"):
        kafka(bootstrap, security_protocol="sasl_plaintext", sasl_mechanism="plain", **LOGIN)


@pytest.mark.parametrize("bootstrap", ["127.0.0.1:9092", "[::1]:9092", "localhost:9092,127.8.0.1:1"])
def test_on_loopback_it_may_be_readable(bootstrap: str) -> None:
    options = client_options(kafka(bootstrap, security_protocol="sasl_plaintext", sasl_mechanism="plain", **LOGIN))
    assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_PLAINTEXT", "PLAIN")


def test_every_client_shows_who_it_is_and_checks_the_broker(tmp_path: Path) -> None:
    ca_file = make_server_certificate(tmp_path).ca_file
    settings = kafka(security_protocol="sasl_ssl", ca_file=str(ca_file), **LOGIN)
    for options in (client_options(settings), producer_options(settings), consumer_options(settings)):
        assert options["security_protocol"] == "SASL_SSL"
        assert options["sasl_mechanism"] == "SCRAM-SHA-512"
        assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("somebody", SECRET)
        context = options["ssl_context"]
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize(
    "members",
    [{}, {"security_protocol": "ssl"}, {"security_protocol": "sasl_ssl", **LOGIN}],
    ids=["plaintext", "ssl", "sasl_ssl"],
)
async def test_faust_reaches_the_broker_as_every_client_does(members: dict[str, object], tmp_path: Path) -> None:
    settings = Settings(kafka=kafka(**members), data_dir=tmp_path)
    options = client_options(settings.kafka)
    given = credentials_to_aiokafka_auth(make_app("app", settings, 1).conf.broker_credentials)
    assert {name: str(value) for name, value in given.items()} == {
        name: str(value) for name, value in options.items() if name not in ("bootstrap_servers", "request_timeout_ms")
    }


def test_authorities_that_cannot_be_read_and_a_password_that_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"kafka\.ca_file .*missing\.pem"):
        client_options(kafka(security_protocol="ssl", ca_file=str(tmp_path / "missing.pem")))
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(SettingsError, match=r"kafka\.ca_file .*empty\.pem"):
        client_options(kafka(security_protocol="ssl", ca_file=str(tmp_path / "empty.pem")))
    with pytest.raises(SettingsError, match="env:ABSENT"):
        client_options(kafka(security_protocol="sasl_ssl", username="somebody", password="env:ABSENT"))


def test_settings_do_not_show_the_password() -> None:
    assert SECRET not in repr(kafka(security_protocol="sasl_ssl", **LOGIN))


def test_every_worker_has_rights_for_its_group_and_the_topics_of_its_tables() -> None:
    for role in ROLES:
        own = [grant for grant in grants() if grant.principal == principal_of(role)]
        assert Grant(principal_of(role), ("Read",), "group", (principal_of(role),)) in own
        assert [grant.names for grant in own if grant.pattern == "prefixed"] == [(f"towline-{role}-",)]


def test_whoever_writes_may_write_where_the_table_says_and_only_there() -> None:
    written = {
        (grant.principal, name)
        for grant in grants()
        for name in grant.names
        if "Write" in grant.operations and grant.pattern == "literal"
    }
    assert written == {(principal, topic) for topic in TOPICS for principal in writers(topic)}


def test_nobody_may_change_or_remove_anything() -> None:
    assert {operation for grant in grants() for operation in grant.operations} <= {
        "Read",
        "Write",
        "Create",
        "DescribeConfigs",
    }


def test_the_commands_are_printed_for_people_and_the_rights_for_programs() -> None:
    lines = CliRunner().invoke(app, ["topics", "acls"]).stdout.splitlines()
    assert len(lines) == len(grants())
    assert (
        "kafka-acls.sh --bootstrap-server HOST:PORT --add --allow-principal User:towline-gateway --operation Write "
        f"--topic {EVENTS}"
    ) in lines
    found = json.loads(CliRunner().invoke(app, ["topics", "acls", "--json"]).stdout)
    assert found["grants"][0]["names"] == list(TOPICS)
