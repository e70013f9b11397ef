"""The secrets that are known: every credential that the settings refer to."""

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from towline.errors import MisuseError, SettingsError
from towline.registry.credentials import credential_of
from towline.settings import Settings, read_credential

_REFERENCE: Final = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)")

#: Shorter ones are in every text by chance.
_SHORTEST_BYTES: Final = 8

UNREAD: Final = "unread-credential"
SHORT: Final = "short-credential"


async def known_credentials(settings: Settings, allowed: Collection[str] = ()) -> dict[str, str]:
    """Return the values of all credentials of the settings, by their references; logins of docker are ``docker:NAME``.

    One that cannot be read, or is too short to be told from other text, cannot be shown to be absent: ``allowed`` has
    those to go without, ``unread-credential@REFERENCE`` and ``short-credential@REFERENCE``.

    Raises:
        SettingsError: a credential cannot be read.
        MisuseError: a credential is too short.
        UnreachableError: a credential helper of docker failed.
    """
    known: dict[str, str] = {}
    for reference in sorted(set(_references(settings.model_dump(mode="python")))):
        try:
            known[reference] = read_credential(reference)
        except SettingsError as error:
            if (way := f"{UNREAD}@{reference}") not in allowed:
                raise SettingsError(f"{error}, so nobody can look for it; --allow {way} goes without") from None
    for name, registry in settings.registries.items():
        if registry.credentials == "docker" and (login := await credential_of(registry)()) is not None:
            known[f"docker:{name}"] = login.secret
    return {reference: secret for reference, secret in known.items() if _is_searchable(reference, secret, allowed)}


def _is_searchable(reference: str, secret: str, allowed: Collection[str]) -> bool:
    if not secret or len(secret.encode()) >= _SHORTEST_BYTES:
        return bool(secret)
    if (way := f"{SHORT}@{reference}") in allowed:
        return False
    raise MisuseError(
        f"credential {reference} is shorter than {_SHORTEST_BYTES} bytes, so that it cannot be told from other text: "
        f"use a longer one, or go without looking for it: --allow {way}"
    )


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str) and _REFERENCE.fullmatch(value):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _references(item)
