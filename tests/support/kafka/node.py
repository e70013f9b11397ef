"""One Apache Kafka process, broker and controller in one, that a test can kill, pause and start again."""

import asyncio
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.support.parts import KAFKA_JARS
from tests.support.waiting import until

CLUSTER_ID: Final = "dG93bGluZS10ZXN0cw0000"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0

#: Half of the time to start is the compiler's; throughput under these flags means nothing.
QUICK_START: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True, slots=True)
class Seat:
    """A node's number and its ports on loopback."""

    node: int
    port: int
    controller_port: int
    #: Where principals come that have to say who they are, if the node has such a listener.
    guarded_port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def voter(self) -> str:
        return f"{self.node}@127.0.0.1:{self.controller_port}"


def free_seats(number: int) -> list[Seat]:
    """Find ports that nobody listens on, all held open at once so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3 * number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return [Seat(node + 1, *ports[3 * node : 3 * node + 3]) for node in range(number)]


@dataclass
class KafkaNode:
    """A formatted node in ``directory``; ``settings`` are added to its server properties."""

    seat: Seat
    directory: Path
    voters: str
    settings: Mapping[str, str]
    jvm: tuple[str, ...] = QUICK_START
    #: Whether it has a listener for principals.
    guarded: bool = False
    #: Principals that it knows from the beginning, in the words of Kafka's storage tool.
    users: Sequence[str] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        return self.seat.address

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def format(self) -> None:
        """Write the properties and an empty log."""
        self.directory.mkdir(parents=True)
        lines = [f"{name}={value}\n" for name, value in self._properties().items()]
        self._properties_file.write_text("".join(lines), encoding="utf-8")
        users = [part for user in self.users for part in ("--add-scram", user)]
        arguments = ["format", "-t", CLUSTER_ID, "-c", str(self._properties_file), *users]
        command = self._java("kafka.tools.StorageTool", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def launch(self) -> None:
        """Start the process without waiting for it."""
        with self._output.open("ab") as output:
            command = self._java("kafka.Kafka", str(self._properties_file))
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def wait_ready(self, nodes: int = 1) -> None:
        """Wait until it serves clients and knows of at least ``nodes`` nodes, itself among them."""
        until(lambda: self._is_ready(nodes), seconds=START_SECONDS, what=f"{self.address} answers")

    def start(self) -> None:
        self.launch()
        self.wait_ready()

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Let the process end in order (SIGTERM)."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): its connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)
        # On a busy machine its other threads go on answering until one of them has heard of it.
        until(self._is_stopped, seconds=STOP_SECONDS, what=f"{self.address} stands still")

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start again on the same data and ports; whatever runs is killed first."""
        self.kill()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(how)
        self._process.wait(STOP_SECONDS)
        self._process = None

    def _signal(self, which: signal.Signals) -> None:
        assert self._process is not None, "not started"
        self._process.send_signal(which)

    def _is_stopped(self) -> bool:
        # After the name in parentheses, which may hold anything, the first letter is the state.
        states = [task.read_text().rpartition(") ")[2][0] for task in Path(f"/proc/{self.pid}/task").glob("*/stat")]
        return all(state == "T" for state in states)

    def _is_ready(self, nodes: int) -> bool:
        assert self._process is not None, "not started"
        assert self._process.poll() is None, self._output.read_text(encoding="utf-8", errors="replace")
        try:
            socket.create_connection(("127.0.0.1", self.seat.port), timeout=5).close()
        except OSError:
            return False
        # In a thread of its own, because the caller's may run an event loop.
        with ThreadPoolExecutor(1) as pool:
            known = pool.submit(asyncio.run, known_nodes(self.address)).result()
        return self.seat.node in known and len(known) >= nodes

    def _java(self, *arguments: str) -> list[str]:
        return ["java", "-Xmx512m", *self.jvm, "-cp", f"{KAFKA_JARS}/*", *arguments]

    @property
    def _properties_file(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _output(self) -> Path:
        return self.directory / "output.txt"

    def _properties(self) -> dict[str, str]:
        guarded = f",GUARDED://127.0.0.1:{self.seat.guarded_port}" if self.guarded else ""
        return {
            "process.roles": "broker,controller",
            "node.id": str(self.seat.node),
            "controller.quorum.voters": self.voters,
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self.seat.controller_port}{guarded}",
            "advertised.listeners": f"PLAINTEXT://{self.address}{guarded}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_SSL",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.directory / "data"),
            # A mistyped topic must fail, not appear.
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "4",
            # A killed node may come back, and another take over, once its session has ended: 9 s by default.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            **self.settings,
        }


async def known_nodes(address: str) -> set[int]:
    """Return the numbers of the nodes that serve clients, as ``address`` sees them; none when it does not answer."""
    client = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=5000)
    try:
        await client.start()
        return {broker["node_id"] for broker in (await client.describe_cluster())["brokers"]}
    except (KafkaError, OSError, TimeoutError):
        return set()
    finally:
        await client.close()
