"""What secrets look like when nobody knows them: a table of the shapes that their issuers gave them to be found by.

Each shape is narrow: a digest, an id or a signature in a record must not look like one. Syntax is RE2's.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SHAPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "private-key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
        "aws-key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
        "azure-key": r"AccountKey=[A-Za-z0-9+/]{86}==",
        "google-key": r"\bAIza[A-Za-z0-9_-]{35}|\bya29\.[A-Za-z0-9_-]{20}|\bGOCSPX-[A-Za-z0-9_-]{28}",
        "github-token": r"\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{60}",
        "gitlab-token": r"\bgl(?:pat|rt|dt|cbt|soat|ptt)-[A-Za-z0-9_-]{20}",
        "docker-token": r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20}",
        "slack-token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10}|\bxapp-[0-9]-[A-Za-z0-9-]{10}",
        "slack-address": r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20}",
        "npm-token": r"\bnpm_[A-Za-z0-9]{36}",
        "pypi-token": r"\bpypi-[A-Za-z0-9_-]{50}",
        "stripe-key": r"\b[rs]k_live_[A-Za-z0-9]{20}",
        "vault-token": r"\bhv[sbr]\.[A-Za-z0-9_-]{24}",
        "webhook-secret": r"\bwhsec_[A-Za-z0-9+/]{24}",
        "jwt": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8}",
        # A scheme, then a name and a password before the host (RFC 3986, userinfo).
        "address-with-password": r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@:\"'<>\\]*:[^\s/?#@\"'<>\\]+@",
        "signed-address": r"(?i:[?&](?:X-Amz-Signature|X-Goog-Signature|sig)=[A-Za-z0-9%+/=_-]{32})",
        "basic-credentials": r"(?i:\bbasic +)[A-Za-z0-9+/]{16}",
        "bearer-token": r"(?i:\bbearer +)[A-Za-z0-9._~+/-]{20}",
    }
)
"""The shapes by the kind that findings name."""
