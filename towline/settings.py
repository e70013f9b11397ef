"""Settings: ``towline.yaml`` (or the file that ``TOWLINE_SETTINGS`` names) and ``TOWLINE_*`` variables.

The only module that reads the environment; :mod:`towline.settings_sources` does it for what is set. Credentials are
references, ``env:NAME`` or ``file:PATH``, and are read when they are used; their values are in no settings object,
event or log line.
"""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from schemas.references import RegistryName
from schemas.webhooks import ReceiverName
from towline.errors import SettingsError
from towline.hook_settings import HookSettings, Secrets
from towline.net.egress.allowances import check_allowance
from towline.settings_parts import CredentialReference, Part

KeyName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""The name of a key, by which policies ask for its signatures."""

Place = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}/[0-9]{1,18}$")]
"""A record of a topic that the member knows: PARTITION/OFFSET."""

SETTINGS_FILE_DEFAULT = "towline.yaml"


class RegistryLimits(Part):
    """How much of a registry one worker uses at most, over all its transfers; what is not set is not limited."""

    #: Requests under way, and as many uploads.
    concurrent_requests: Annotated[int, Field(ge=1, le=1024)] | None = None
    requests_per_second: Annotated[float, Field(gt=0, le=100_000)] | None = None
    #: Content of blobs, to and from the registry together. Less than a few chunks a second would look like silence.
    bytes_per_second: Annotated[int, Field(ge=256 * 1024)] | None = None


class RegistrySettings(Part):
    """How to reach one registry."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^/@\s]+/?$")]
    username: str | None = None
    password: CredentialReference | None = None
    #: ``docker``: the login that docker's ``config.json`` has for this registry, helpers included.
    credentials: Literal["docker"] | None = None
    #: A PEM file with the certificate authorities to trust for this registry, instead of the usual ones.
    ca_file: Path | None = None
    #: Take any certificate. Whoever is in between can read and change everything; each start says so in the log.
    insecure: bool = False
    limits: RegistryLimits = RegistryLimits()

    @field_validator("url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @model_validator(mode="after")
    def _fit_together(self) -> "RegistrySettings":
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.credentials is not None and self.username is not None:
            raise ValueError("credentials stand instead of username and password")
        if self.insecure and self.ca_file is not None:
            raise ValueError("with insecure no certificate is checked, so a ca_file has no use")
        return self


class EgressSettings(Part):
    """Where requests may go besides the registries, and besides public addresses at the ports 80 and 443.

    Token services, storage that registries redirect to, receivers of webhooks: whatever somebody else names.
    """

    #: Networks, addresses and hosts; :mod:`towline.net.egress.allowances` has their forms.
    allow: tuple[Annotated[str, AfterValidator(check_allowance)], ...] = ()
    #: Further ports that are open to all.
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()


class KeySettings(Part):
    """A public key that signs images."""

    #: PEM, such as ``cosign.pub``.
    file: Path


class AttestationSettings(Part):
    """How it is attested, at the target itself, which decision put an image there.

    Whoever can read the target can read names of policies, sources and people in it: so each registry is named.
    """

    #: ECDSA on P-256 or Ed25519, PEM without a passphrase.
    key: CredentialReference
    registries: Annotated[tuple[RegistryName, ...], Field(min_length=1)]


class ReceiverSettings(Part):
    """Where webhooks are sent, and with which secrets: what subscriptions name, so that the log has neither."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^/?#@\s]+([/?][^#\s]*)?$")] | None = None
    #: Instead of ``url``, where the address itself is a secret, such as Slack's.
    url_from: CredentialReference | None = None
    #: The first one is current. While it is being replaced, what is sent is signed with all of them.
    secrets: Annotated[tuple[CredentialReference, ...], Field(max_length=3)] = ()
    #: A PEM file with the certificate authorities to trust for this receiver, instead of the usual ones.
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> "ReceiverSettings":
        if (self.url is None) == (self.url_from is None):
            raise ValueError("give either url or url_from")
        if self.url is not None and not self.secrets:
            raise ValueError("secrets: without one, nobody can tell who sent what arrives at url")
        return self


class KafkaSettings(Part):
    """How to reach the broker, as whom, and how topics are made."""

    bootstrap: str | None = None
    #: ``sasl_*`` shows who we are, ``*ssl`` encrypts and checks the broker's certificate.
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    sasl_mechanism: Literal["plain", "scram-sha-256", "scram-sha-512"] = "scram-sha-512"
    username: str | None = None
    password: CredentialReference | None = None
    #: A PEM file with the certificate authorities to trust for the broker, instead of the usual ones.
    ca_file: Path | None = None
    partitions: Annotated[int, Field(ge=1, le=1024)] = 12
    replication: Annotated[int, Field(ge=1, le=7)] = 1

    @property
    def encrypts(self) -> bool:
        """Whether what goes to the broker and comes from it is encrypted."""
        return self.security_protocol in ("ssl", "sasl_ssl")

    @property
    def authenticates(self) -> bool:
        """Whether the broker is shown a username and a password."""
        return self.security_protocol in ("sasl_plaintext", "sasl_ssl")

    @model_validator(mode="after")
    def _fit_together(self) -> "KafkaSettings":
        if self.security_protocol != "plaintext" and self.bootstrap is None:
            raise ValueError(f"{self.security_protocol} needs bootstrap: the embedded broker knows plaintext alone")
        given = [name for name in ("username", "password") if getattr(self, name) is not None]
        if self.authenticates and len(given) < 2:
            raise ValueError(f"{self.security_protocol} needs username and password")
        if given and not self.authenticates:
            raise ValueError(f"{given[0]} is shown to nobody: set security_protocol to sasl_ssl")
        if self.ca_file is not None and not self.encrypts:
            raise ValueError("ca_file has a use only with security_protocol ssl or sasl_ssl")
        if self.authenticates and not self.encrypts and self.sasl_mechanism == "plain":
            for server in (self.bootstrap or "").split(","):
                if server and not _is_loopback(server.rpartition(":")[0]):
                    raise ValueError(f"{server} would get the password readable for all in between: use sasl_ssl")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class WorkerSettings(Part):
    """How the agents run."""

    tick_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    #: A worker that is silent for so long loses its partitions to others. Shorter heals faster after a crash; too short
    #: and a slow broker looks like a dead worker.
    session_timeout_seconds: Annotated[float, Field(ge=2, le=300)] = 15.0
    commit_interval_seconds: Annotated[float, Field(gt=0, le=60)] = 0.5
    #: Events that a bug of ours stops at, PARTITION/OFFSET in ``towline.events``: the evaluator sets them aside as dead
    #: letters. They stay here for good, also when the bug is mended: whoever folds the log anew has to leave them out.
    quarantine: tuple[Place, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    #: Where workers serve ``/metrics``. Each role has a port of its own: this one, and the four after it.
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=1, le=65531)] | None = None

    @property
    def quarantined(self) -> frozenset[tuple[int, int]]:
        """The partitions and offsets of ``quarantine``."""
        return places_of(self.quarantine)


class AuditSettings(Part):
    """How decisions are sealed, and whose seals count."""

    #: The Ed25519 key that checkpoints are signed with, PEM. Without it nothing is sealed.
    key: CredentialReference | None = None
    #: PEM files with the public keys that checkpoints may be signed with: those of before a change of keys too.
    public_keys: tuple[Path, ...] = ()
    #: A checkpoint is made when so many records wait for one, or when the first of them waited for so long.
    every_records: Annotated[int, Field(ge=1, le=10_000)] = 1000
    every_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    #: A file outside of Kafka to which every checkpoint is appended too, as a line.
    file: Path | None = None
    #: Records of ``towline.checkpoints``, PARTITION/OFFSET, that are not ours and that a sealer passes over.
    quarantine: tuple[Place, ...] = ()

    @property
    def quarantined(self) -> frozenset[tuple[int, int]]:
        """The partitions and offsets of ``quarantine``."""
        return places_of(self.quarantine)


class RollbackSettings(Part):
    """What a rollback needs."""

    #: How many people have to approve one, beside the one who proposes it.
    approvals: Annotated[int, Field(ge=1, le=5)] = 1


class GatewaySettings(Part):
    """Where the gateway listens, and who may read what it knows."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8440
    #: Who may ask /api/v1 and log in at the console, by a name of theirs, and their token. Without any, nobody may.
    readers: dict[KeyName, Secrets] = Field(default_factory=dict)


class Settings(Part):
    """Everything that can be set."""

    registries: dict[RegistryName, RegistrySettings] = Field(default_factory=dict)
    hooks: dict[RegistryName, HookSettings] = Field(default_factory=dict)
    #: Who can be told by webhooks.
    receivers: dict[ReceiverName, ReceiverSettings] = Field(default_factory=dict)
    egress: EgressSettings = EgressSettings()
    #: Whose signatures on images count.
    keys: dict[KeyName, KeySettings] = Field(default_factory=dict)
    #: None: nothing is attested.
    attestation: AttestationSettings | None = None
    kafka: KafkaSettings = KafkaSettings()
    worker: WorkerSettings = WorkerSettings()
    audit: AuditSettings = AuditSettings()
    gateway: GatewaySettings = GatewaySettings()
    rollback: RollbackSettings = RollbackSettings()
    #: Local state of the workers; can be deleted at any time, it is rebuilt from the log.
    data_dir: Path = Path(".towline")
    failpoints: str = ""

    @model_validator(mode="after")
    def _hooks_name_registries(self) -> "Settings":
        for name, hook in self.hooks.items():
            if hook.registry is not None and hook.registry not in self.registries:
                raise ValueError(f"hooks.{name}.registry: {hook.registry!r} is not among the registries")
        return self


def places_of(places: tuple[Place, ...]) -> frozenset[tuple[int, int]]:
    """Return places as partitions and offsets."""
    parts = (place.split("/") for place in places)
    return frozenset((int(partition), int(offset)) for partition, offset in parts)


def settings_file() -> Path:
    """Return the settings file's path; it need not exist unless ``TOWLINE_SETTINGS`` names it."""
    return Path(os.environ.get("TOWLINE_SETTINGS", SETTINGS_FILE_DEFAULT))


def load_settings(**overrides: Any) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a file that was named is missing, is no YAML mapping, or a value does not fit; the text has the
            path.
    """
    named = os.environ.get("TOWLINE_SETTINGS")
    if named is not None and not Path(named).is_file():
        raise SettingsError(f"TOWLINE_SETTINGS names {named}, which is not a file")
    # Here, because it takes longer to import than everything else that a process with given settings needs.
    from towline.settings_sources import read_settings  # noqa: PLC0415

    return read_settings(overrides)


def read_credential(reference: str) -> str:
    """Return the secret that a reference names.

    Raises:
        SettingsError: the variable or file is not there, or no text. The text names the reference, never the value.
    """
    kind, _, name = reference.partition(":")
    try:
        return os.environ[name] if kind == "env" else Path(name).read_text(encoding="utf-8").strip()
    except (KeyError, OSError):
        raise SettingsError(
            f"credential {reference}: there is no such {'variable' if kind == 'env' else 'file'}"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"credential {reference}: the file is not UTF-8") from None


def docker_config_file() -> Path:
    """Return where docker keeps its logins: in the folder that ``DOCKER_CONFIG`` names, or in the home folder."""
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def child_environment(**changes: str) -> dict[str, str]:
    """Return the environment for a process that we start, with some variables changed."""
    return {**os.environ, **changes}


def isolated_environment(**changes: str) -> dict[str, str]:
    """Return the environment for a process that is to have no setting but those of ``changes``."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOWLINE_")} | changes
