"""``python -m bench.bare BOOTSTRAP PORT``: webhooks into Kafka, as someone would write it by hand in one page.

uvicorn with uvloop and the parser of HTTP that is installed, as for the gateway, and no framework; each body is parsed
with orjson, sent as it came under the name of its repository, and answered 202 once all replicas have it. It has the
gateway's producer settings. It has none of its checks: no sender, no bounds, no strict JSON, no dialect, no ids, no
canonical bytes, no counters.
"""

import sys
from typing import Final

import orjson
import uvicorn
from aiokafka import AIOKafkaProducer
from starlette.types import Receive, Scope, Send

from streams.kafka_options import producer_options
from towline.settings import KafkaSettings

TOPIC: Final = "bench.bare"


class Bare:
    """The ASGI app."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        repository = orjson.loads(body)["events"][0]["target"]["repository"]
        assert self._producer is not None
        await self._producer.send_and_wait(TOPIC, body, repository.encode())
        head = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 202, "headers": head})
        await send({"type": "http.response.body", "body": b"{}"})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._producer = AIOKafkaProducer(**producer_options(self._settings))
        await self._producer.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._producer.stop()
        await send({"type": "lifespan.shutdown.complete"})


def main(bootstrap: str, port: int) -> None:
    app = Bare(KafkaSettings(bootstrap=bootstrap))
    uvicorn.run(app, port=port, loop="uvloop", log_config=None, access_log=False, lifespan="on")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
