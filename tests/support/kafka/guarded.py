"""Apache Kafka that asks everybody who they are, and lets them do what the rights say that we print."""

import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.principals import grants
from tests.support.certificates import ServerCertificate, make_server_certificate
from tests.support.kafka.cluster import apache_kafka
from tests.support.kafka.node import KafkaNode
from tests.support.parts import KAFKA_JARS
from towline.settings import KafkaSettings

#: Who is known by SCRAM; everybody has the same password.
PRINCIPALS: Final = tuple(dict.fromkeys(grant.principal for grant in grants()))
PASSWORD: Final = "the password of a principal"
#: Known by PLAIN alone, and has no rights.
STRANGER: Final = "stranger"


@dataclass(frozen=True)
class GuardedKafka:
    """A node with one listener for principals, encrypted, and one on which whoever comes may do everything."""

    node: KafkaNode
    address: str
    ca_file: Path
    password_file: Path

    def members(self, principal: str, **more: object) -> dict[str, object]:
        """Return the members of ``kafka`` in the settings of a principal."""
        known: dict[str, object] = {
            "bootstrap": self.address,
            "security_protocol": "sasl_ssl",
            "username": principal,
            "password": f"file:{self.password_file}",
            "ca_file": str(self.ca_file),
        }
        return known | more

    def settings(self, principal: str, **more: object) -> KafkaSettings:
        """Return the settings of a principal."""
        return KafkaSettings.model_validate(self.members(principal, **more))

    def give(self, commands: list[str]) -> None:
        """Carry out commands as ``towline topics acls`` prints them, as Kafka's own script does."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._give, commands))

    def _give(self, command: str) -> None:
        script, *arguments = shlex.split(command)
        assert script == "kafka-acls.sh"
        java = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{KAFKA_JARS}/*"]
        done = subprocess.run(
            [*java, "org.apache.kafka.tools.AclCommand", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def guarded_kafka(folder: Path) -> Iterator[GuardedKafka]:
    """Run a node on which nobody has any right yet; ``folder`` keeps certificates and the password."""
    certificate = make_server_certificate(folder)
    password_file = folder / "password"
    password_file.write_text(PASSWORD)
    scram = [f"SCRAM-SHA-512=[name={principal},password={PASSWORD}]" for principal in PRINCIPALS]
    with apache_kafka(_settings(folder, certificate), guarded=True, users=scram) as node:
        yield GuardedKafka(node, f"127.0.0.1:{node.seat.guarded_port}", certificate.ca_file, password_file)


def _settings(folder: Path, certificate: ServerCertificate) -> dict[str, str]:
    chain = folder / "broker.pem"
    chain.write_bytes(certificate.key_file.read_bytes() + certificate.certificate_file.read_bytes())
    login = "org.apache.kafka.common.security"
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # The other listener is the test's own, and that of the controller.
        "super.users": "User:ANONYMOUS",
        "listener.name.guarded.ssl.keystore.type": "PEM",
        "listener.name.guarded.ssl.keystore.location": str(chain),
        "listener.name.guarded.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "listener.name.guarded.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "listener.name.guarded.plain.sasl.jaas.config": (
            f'{login}.plain.PlainLoginModule required user_{STRANGER}="{PASSWORD}";'
        ),
    }
