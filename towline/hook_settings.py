"""The hooks of the settings: who sends to ``/hooks/NAME``, how that is verified, and what it counts for.

Each way to verify has a member of its own, and a hook has exactly one of them. A hook without any would believe
whoever finds it, so that ``anonymous`` has to be written.
"""

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from schemas.references import RegistryName
from towline.settings_parts import CredentialReference, Part

DialectName = Literal[
    "acr",
    "aliyun",
    "cloudevents",
    "distribution",
    "dockerhub",
    "dtr",
    "ecr",
    "gar",
    "ghcr",
    "harbor",
    "jfrog",
    "jfrog-subdomain",
    "nexus",
    "nexus-path",
    "quay",
    "zot",
]
"""The dialects, spelled here because reading the settings is not to load them all; a test compares the two."""

#: Producers of our own say themselves which registry they speak of.
_NAMES_ITS_REGISTRY: Final = frozenset({"cloudevents"})

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")]


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Secrets = Annotated[tuple[CredentialReference, ...], BeforeValidator(_one_or_more), Field(min_length=1, max_length=2)]
"""One reference, or two while a secret is being replaced: then a sender may know either."""


class BasicSettings(Part):
    """A user name and password, as a browser would send them."""

    username: Annotated[str, StringConstraints(pattern=r"^[^:\x00-\x1f]+$")]
    password: Secrets


class HeaderSettings(Part):
    """A header with a value that nobody else knows."""

    name: HeaderName
    value: Secrets


class HmacSettings(Part):
    """A header with the HMAC of the body, in hexadecimal, perhaps after ``sha256=``."""

    secret: Secrets
    #: Needed where the dialect's sender has none of its own.
    header: HeaderName | None = None
    #: What the dialect's sender uses, unless given; else SHA-256.
    algorithm: Literal["sha256", "sha1"] | None = None


class OidcSettings(Part):
    """A signed token (JWT) in ``Authorization: Bearer``, as Google's Pub/Sub sends it."""

    #: For whom the token has to be: what the sender was told.
    audience: Annotated[str, Field(min_length=1)]
    #: The account that sends. Anybody can have a token for any audience, so without it nobody would be known.
    email: Annotated[str, Field(min_length=3)]
    issuer: Annotated[str, StringConstraints(pattern=r"^https://\S+$")] = "https://accounts.google.com"
    #: Where the issuer publishes its keys (a JWK set).
    keys_url: Annotated[str, StringConstraints(pattern=r"^https://[^@\s]+$")] = (
        "https://www.googleapis.com/oauth2/v3/certs"
    )


#: The header and the algorithm of those that sign.
_SIGNATURES: Final[dict[str, tuple[str, Literal["sha256", "sha1"]]]] = {
    "ghcr": ("X-Hub-Signature-256", "sha256"),
    "jfrog": ("X-JFrog-Event-Auth", "sha256"),
    "jfrog-subdomain": ("X-JFrog-Event-Auth", "sha256"),
    "nexus": ("X-Nexus-Webhook-Signature", "sha1"),
    "nexus-path": ("X-Nexus-Webhook-Signature", "sha1"),
}

_WAYS: Final = ("token", "basic", "header", "hmac", "standard_webhooks", "oidc", "path", "anonymous")


class HookSettings(Part):
    """One webhook address, ``/hooks/NAME``, and who sends to it."""

    #: Whose pushes it tells; only producers of CloudEvents say it themselves.
    registry: RegistryName | None = None
    dialect: DialectName = "distribution"
    #: The value that the sender puts into ``Authorization: Bearer``.
    token: Secrets | None = None
    basic: BasicSettings | None = None
    header: HeaderSettings | None = None
    hmac: HmacSettings | None = None
    #: Secrets of Standard Webhooks: ``whsec_`` and base64, or any text.
    standard_webhooks: Secrets | None = None
    oidc: OidcSettings | None = None
    #: The last part of the address, ``/hooks/NAME/SECRET``, for senders that can do nothing else.
    path: Secrets | None = None
    #: Anybody may send.
    anonymous: bool = False
    #: ``hint``: what is told is looked up before it counts. Without a word of the settings it is that for ``path`` and
    #: ``anonymous``: whoever sees an address can send to it.
    trust: Literal["full", "hint"] | None = None
    #: Deliveries a second, over some time; who sends more is asked to come again.
    rate: Annotated[float, Field(gt=0, le=100_000)] = 500.0

    @model_validator(mode="after")
    def _fits_together(self) -> "HookSettings":
        given = [way for way in _WAYS if getattr(self, way) not in {None, False}]
        if not given:
            raise ValueError(
                f"say how its sender is verified, by one of {', '.join(_WAYS[:-1])}; "
                "or write anonymous: true, and what anybody sends is looked up at the registry before it counts"
            )
        if len(given) > 1:
            raise ValueError(f"its sender is verified in one way, not by {' and '.join(given)}")
        if self.registry is None and self.dialect not in _NAMES_ITS_REGISTRY:
            raise ValueError(f"registry: {self.dialect} does not say which registry it is, so name it")
        if self.hmac is not None and self.hmac.header is None and self.dialect not in _SIGNATURES:
            raise ValueError(f"hmac.header: {self.dialect} has no header of its own for signatures, so name it")
        return self

    @property
    def is_believed(self) -> bool:
        """Tell if what is told counts as it is."""
        doubtful = self.anonymous or self.path is not None
        return self.trust == "full" or (self.trust is None and not doubtful)

    def signature_of(self, hmac: HmacSettings) -> tuple[str, Literal["sha256", "sha1"]]:
        """Return the header and the algorithm of this hook's ``hmac``."""
        header, algorithm = _SIGNATURES.get(self.dialect, ("", "sha256"))
        return hmac.header or header, hmac.algorithm or algorithm
