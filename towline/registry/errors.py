"""What can go wrong with a registry. Each leaf has one ``cause`` and says if trying again can help.

::

    RegistryError
    +- UnreachableError          unreachable            retryable   no connection, timeout, reset, TLS
    +- ServerError               server-error           retryable   5xx, 408
    +- RateLimitedError          rate-limited           retryable   429
    +- UploadLostError           upload-lost            retryable   the upload session is gone
    +- DigestMismatchError       digest-mismatch        retryable   other bytes than the digest says
    +- SizeMismatchError         size-mismatch          retryable   more or fewer bytes than announced
    +- UnauthorisedError         unauthorised                       401 after one refresh
    +- DeniedError               denied                             403
    +- NotFoundError             not-found                          404
    |  +- SourceGoneError        source-gone                        what was to be copied is no longer there
    +- ContentMissingError       content-missing                    the registry misses what a manifest names
    +- TagImmutableError         target-immutable                   the registry does not let the tag be moved
    +- TargetExistsError         target-exists                      the policy does not let the tag be moved
    +- TagMovedError             tag-moved                          somebody else moved the tag after us
    +- NotWrittenError           not-written            retryable   said to be written, and does not show
    +- TooLargeError             too-large                          beyond a bound of ours, or the registry's
    +- UnsupportedManifestError  unsupported-manifest               docker schema 1, or no manifest at all
    +- PlatformMissingError      platform-missing                   the index has none of the wanted platforms
    +- RemovalRefusedError       removal-refused                    the registry does not let the tag be removed
    +- DigestSharedError         digest-shared                      something else there needs what the tag points to
    +- NotRemovedError           not-removed            retryable   said to be removed, and still there
    +- RedirectRefusedError      redirect-refused                   to plain HTTP, or too many
    +- RefusedError              refused                            any other 4xx
    +- ProtocolError             protocol                           an answer that the specification does not know
"""

from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from towline.errors import TowlineError
from towline.net.redact import redact_url

Cause = Literal[
    "unreachable",
    "server-error",
    "rate-limited",
    "upload-lost",
    "digest-mismatch",
    "size-mismatch",
    "unauthorised",
    "denied",
    "not-found",
    "source-gone",
    "content-missing",
    "target-immutable",
    "target-exists",
    "tag-moved",
    "not-written",
    "too-large",
    "unsupported-manifest",
    "platform-missing",
    "removal-refused",
    "digest-shared",
    "not-removed",
    "redirect-refused",
    "refused",
    "protocol",
]

#: How much of a registry's own words goes into our text.
_WORDS_LENGTH: Final = 200


class RegistryError(TowlineError):
    """A registry failed or refused.

    ``status`` is the HTTP status when there was an answer, ``codes`` the error codes of the OCI distribution
    specification in its body, ``words`` the registry's own text, ``url`` is redacted, ``retry_after_seconds`` what the
    registry asked for, capped.
    """

    cause: ClassVar[Cause]

    def __init__(
        self,
        what: str,
        *,
        url: str | None = None,
        status: int | None = None,
        codes: Sequence[str] = (),
        words: str = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        self.url = None if url is None else redact_url(url)
        self.status = status
        self.codes = tuple(codes)
        self.words = words
        self.retry_after_seconds = retry_after_seconds
        facts = [what, self.url or "", f"status {status}" if status else "", " ".join(self.codes)]
        printable = "".join(char if char.isprintable() else " " for char in words[:_WORDS_LENGTH])
        super().__init__("; ".join(filter(None, [*facts, printable.strip()])))


class UnreachableError(RegistryError):
    """No connection, or it broke."""

    cause = "unreachable"
    retryable = True


class ServerError(RegistryError):
    """The registry says that it has a problem."""

    cause = "server-error"
    retryable = True


class RateLimitedError(RegistryError):
    """Too many requests for this registry."""

    cause = "rate-limited"
    retryable = True


class UploadLostError(RegistryError):
    """The registry does not know the upload session any more; the blob is sent anew."""

    cause = "upload-lost"
    retryable = True


class DigestMismatchError(RegistryError):
    """Content does not hash to its digest. Another replica or another try may hold the right bytes."""

    cause = "digest-mismatch"
    retryable = True


class SizeMismatchError(RegistryError):
    """Content is shorter or longer than its descriptor says."""

    cause = "size-mismatch"
    retryable = True


class UnauthorisedError(RegistryError):
    """The registry or its token service does not accept the credentials, or wants some."""

    cause = "unauthorised"


class DeniedError(RegistryError):
    """The credentials are known and do not suffice."""

    cause = "denied"


class NotFoundError(RegistryError):
    """There is no such repository, tag, manifest or blob."""

    cause: ClassVar[Cause] = "not-found"


class SourceGoneError(NotFoundError):
    """What was decided to be copied has been deleted at the source."""

    cause = "source-gone"


class ContentMissingError(RegistryError):
    """The registry does not find content that the manifest names, although it was there when asked."""

    cause = "content-missing"


class TagImmutableError(RegistryError):
    """The registry does not let this tag point to something else."""

    cause = "target-immutable"


class TargetExistsError(RegistryError):
    """The target tag points to something else, and the policy never overwrites."""

    cause = "target-exists"


class TagMovedError(RegistryError):
    """The tag was written, and then pointed to something else: another writer came after us."""

    cause = "tag-moved"


class NotWrittenError(RegistryError):
    """The registry said that the tag is written, and does not show it."""

    cause = "not-written"
    retryable = True


class TooLargeError(RegistryError):
    """Content or an answer exceeds a bound."""

    cause = "too-large"


class UnsupportedManifestError(RegistryError):
    """A manifest that cannot be copied as it is."""

    cause = "unsupported-manifest"


class PlatformMissingError(RegistryError):
    """The index has an image for none of the platforms that are wanted."""

    cause = "platform-missing"


class RemovalRefusedError(RegistryError):
    """The registry does not remove what it was asked to: no single tag, or nothing at all."""

    cause = "removal-refused"


class DigestSharedError(RegistryError):
    """The registry removes a tag only with what it points to, and that is not all for the tag to take along."""

    cause = "digest-shared"


class NotRemovedError(RegistryError):
    """The registry said that the tag is removed, and still shows it."""

    cause = "not-removed"
    retryable = True


class RedirectRefusedError(RegistryError):
    """A redirect or a location that must not be followed."""

    cause = "redirect-refused"


class RefusedError(RegistryError):
    """The registry does not take the request, for a reason of its own."""

    cause = "refused"


class ProtocolError(RegistryError):
    """An answer that the distribution specification does not allow."""

    cause = "protocol"
