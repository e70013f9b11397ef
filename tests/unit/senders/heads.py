"""Heads of requests for the tests of senders."""

from towline.senders.scheme import Head, Scheme

NOW = 1_795_000_000.0


def head(*headers: tuple[str, str | bytes], path: str | None = None, now: float = NOW) -> Head:
    raw = [
        (name.lower().encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in headers
    ]
    return Head(raw, path, now)


async def accepts(scheme: Scheme, given: Head, body: bytes = b"{}") -> bool:
    """As the gateway asks: the head, and then the body."""
    return await scheme.admits(given) and scheme.vouches(given, body)
