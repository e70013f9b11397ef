"""Policies as people write them and as the log keeps them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.canonical import canonical_bytes, sha256_hex
from schemas.patterns import SourcePattern, TargetPattern
from schemas.references import Frozen
from schemas.rules import DURATION_PATTERN, Duration, Rule

PolicyName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""Unique in its set: lower-case letters, digits and hyphens, up to 63."""

Platform = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,64}/[a-z0-9_.-]{1,64}(/[a-z0-9_.-]{1,64})?$", max_length=128)
]
"""``OS/ARCHITECTURE`` or ``OS/ARCHITECTURE/VARIANT``, such as ``linux/arm64``."""

Overwrite = Literal["never", "if-different", "backup"]
"""What becomes of a target tag that has another digest: left, replaced, or replaced and kept under another tag."""

Mode = Literal["enforce", "shadow", "disabled"]
"""``shadow``: decide and record, never act. ``disabled``: as if the policy were not there."""

Deletions = Annotated[str, StringConstraints(pattern=r"^(never|([1-9][0-9]?|100)%)$")]
"""``never``, or how many of a hundred tags may vanish at once for the target to follow, such as ``10%``."""

Reconcile = Annotated[str, StringConstraints(pattern=rf"^(never|{DURATION_PATTERN})$", max_length=64)]
"""``never``, or a span of time."""

#: Bounds of one set, so that its publication fits into one record of the log.
RULES_MAX = 100
PLATFORMS_MAX = 32
POLICIES_MAX = 10_000


class CopyOptions(Frozen):
    """How an image is copied."""

    #: Of an index, only these; empty: all.
    platforms: Annotated[tuple[Platform, ...], Field(max_length=PLATFORMS_MAX)] = ()
    #: Signatures, SBOMs and attestations travel along.
    referrers: bool = True
    overwrite: Overwrite = "if-different"


class Policy(Frozen):
    """Which images of the source go to the target, and under which tag.

    A target in the source's registry makes it a promotion, another registry a mirror.
    """

    #: Unique in the file.
    name: PolicyName
    #: REGISTRY/REPOSITORY, or a glob of repositories such as local/dev/*.
    source: SourcePattern
    #: REGISTRY/REPOSITORY; {repository} is the source's path, {1} what its first wildcard matched.
    target: TargetPattern
    #: The target tag: literal text, {1}, and the directives of strftime, %n being the source tag.
    tag: Annotated[str, StringConstraints(min_length=1, max_length=256)] = "%n"
    #: All must hold.
    rules: Annotated[tuple[Rule, ...], Field(max_length=RULES_MAX)] = ()
    #: Of an index, only these are judged and copied; empty: all.
    platforms: Annotated[tuple[Platform, ...], Field(max_length=PLATFORMS_MAX)] = ()
    #: Signatures, SBOMs and attestations travel along.
    referrers: bool = True
    #: What becomes of a target tag that has another digest.
    overwrite: Overwrite = "if-different"
    #: Whether what is known of the image (scans, SBOMs, signatures, overrides) is known at the target too.
    facts: Literal["promotion", "always", "never"] = "promotion"
    #: Also judge what is in the source already when the policy is new or changed.
    initial_evaluation: bool = True
    #: Ask the source on this interval what it has, for registries that send no webhooks.
    poll: Duration | None = None
    #: Whether tags that vanished from the source are removed from the target: never, or a share such as 10%. When more
    #: than that share of what the policy brought from a repository would go at once, none is.
    deletions: Deletions = "never"
    #: enforce, shadow (decide and record, never act) or disabled.
    mode: Mode = "enforce"

    @property
    def options(self) -> CopyOptions:
        """How its images are copied."""
        return CopyOptions(platforms=self.platforms, referrers=self.referrers, overwrite=self.overwrite)


class PolicySet(Frozen):
    """All policies in force together; published as one revision."""

    policies: Annotated[tuple[Policy, ...], Field(max_length=POLICIES_MAX)] = ()
    #: How often each source that no policy polls is asked what it has, to find what no webhook told: a span of time, or
    #: never.
    reconcile: Reconcile = "6h"
    #: The release of the IANA time zone database that the windows were checked with; None when none names a zone.
    tzdata: Annotated[str, StringConstraints(max_length=32)] | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of the set's canonical bytes, as hex digits.

        Members that came later are left out where they say what was so before: a set keeps the digest that it had.
        """
        members = self.model_dump(mode="json")
        for holder, name in [(members, "reconcile"), *((policy, "deletions") for policy in members["policies"])]:
            if holder[name] == "never":
                del holder[name]
        return sha256_hex(canonical_bytes(members))
