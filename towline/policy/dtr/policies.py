"""From a policy of DTR to one of ours."""

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.patterns import SourcePattern
from schemas.references import Repository
from towline.policy.dtr.hosts import Hosts, free_name
from towline.policy.dtr.notes import Notes, UnusablePolicyError
from towline.policy.dtr.reading import Exported, Kind
from towline.policy.dtr.rules import converted_rule
from towline.policy.patterns import captures
from towline.policy.template import template_problem

#: What became of a policy and when: it is in the audit trail of DTR, and stays there.
_HISTORY: Final = ("id", "lastPromotedAt", "lastMirroredAt", "lastStatus", "mirroringType")
_SECRETS: Final = ("password", "authToken")
_KNOWN: Final[Mapping[Kind, frozenset[str]]] = {
    "promotion": frozenset({"sourceRepository", "targetRepository"}),
    "push": frozenset({"localRepository", "remoteRepository", "remoteHost", "remoteCA", "skipTLSVerification"}),
    "poll": frozenset({"localRepository", "remoteRepository", "remoteHost", "remoteCA", "skipTLSVerification"}),
}
_COMMON: Final = frozenset({"rules", "tagTemplate", "enabled", "initialEvaluation", "username", *_HISTORY, *_SECRETS})
#: DTR asks every half hour.
_POLL: Final = "30m"


class Importer:
    """Converts policies one after the other; names are given once."""

    def __init__(self, own: str) -> None:
        self.hosts = Hosts(own)
        self._own = own
        self._names: set[str] = set()

    def convert(self, exported: Exported, notes: Notes) -> dict[str, Any]:
        """Return a policy as a policy file has it.

        Raises:
            UnusablePolicyError: it cannot be said here, or nobody knows what it means.
        """
        members = exported.members
        kind = exported.kind or _kind(members, notes)
        source, target = self._ends(kind, members)
        policy: dict[str, Any] = {
            "name": "",
            "source": str(source),
            "target": str(target),
            **_template(members, source),
            **_rules(members, notes),
            **_flags(members, notes),
            **({"poll": _POLL} if kind == "poll" else {}),
        }
        _tell(kind, members, notes)
        shown = f"{_spelled(source, self._own)}-to-{_spelled(target, self._own)}"
        policy["name"] = free_name(shown, self._names)
        return policy

    def _ends(self, kind: Kind, members: Mapping[str, Any]) -> tuple[Repository, Repository]:
        if kind == "promotion":
            return (
                _repository(self._own, members, "sourceRepository"),
                _repository(self._own, members, "targetRepository"),
            )
        local = _repository(self._own, members, "localRepository")
        name = self.hosts.name_of(_text(members, "remoteHost"), str(members.get("username") or ""))
        remote = _repository(name, members, "remoteRepository")
        return (local, remote) if kind == "push" else (remote, local)


def _kind(members: Mapping[str, Any], notes: Notes) -> Kind:
    """Recognise a policy by its members, as the API has no member that tells."""
    told = str(members.get("mirroringType") or "").lower()
    if "targetRepository" in members:
        return "promotion"
    if "remoteHost" not in members:
        raise UnusablePolicyError("", "neither targetRepository nor remoteHost is there: it is no policy of DTR")
    if "push" in told or "poll" in told:
        return "push" if "push" in told else "poll"
    if "rules" not in members and "tagTemplate" not in members:
        return "poll"
    if not members.get("rules") and members.get("tagTemplate", "%n") == "%n":
        notes.note(
            "nothing says whether it pushes or polls; taken as push mirroring. If it polls, import it within "
            '{"pollMirroringPolicies": [...]}'
        )
    return "push"


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        hint = "; what the API returns for a policy has it, what creates one does not" if name in _OWN else ""
        raise UnusablePolicyError(name, f"is missing{hint}")
    return value


_OWN: Final = frozenset({"sourceRepository", "localRepository"})


def _repository(registry: str, members: Mapping[str, Any], name: str) -> Repository:
    try:
        return Repository.parse(f"{registry}/{_text(members, name)}")
    except UnusablePolicyError:
        raise
    except ValueError as error:
        raise UnusablePolicyError(name, str(error)) from None


def _template(members: Mapping[str, Any], source: Repository) -> dict[str, str]:
    template = members.get("tagTemplate") or "%n"
    if not isinstance(template, str):
        raise UnusablePolicyError("tagTemplate", "a text is expected")
    problem = template_problem(template, captures(SourcePattern.parse(str(source))))
    if problem is not None or "{" in template:
        raise UnusablePolicyError("tagTemplate", problem or "braces cannot be part of a tag")
    return {} if template == "%n" else {"tag": template}


def _rules(members: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    rules = members.get("rules") or []
    if not isinstance(rules, list):
        raise UnusablePolicyError("rules", "a list is expected")
    converted = [converted_rule(rule, f"rules.{number}", notes) for number, rule in enumerate(rules)]
    return {"rules": converted} if converted else {}


def _flags(members: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    for name in ("enabled", "initialEvaluation", "skipTLSVerification"):
        if not isinstance(members.get(name, False), bool):
            raise UnusablePolicyError(name, "true or false is expected")
    if "enabled" not in members:
        notes.note("enabled: nothing says whether it is; taken as enabled")
    flags: dict[str, Any] = {} if members.get("enabled", True) else {"mode": "disabled"}
    if "initialEvaluation" in members:
        flags["initial_evaluation"] = members["initialEvaluation"]
    return flags


def _tell(kind: Kind, members: Mapping[str, Any], notes: Notes) -> None:
    """Note every member that has no counterpart in a policy."""
    if members.get("username") or any(members.get(name) for name in _SECRETS):
        notes.note("username, password, authToken: credentials belong to the settings, as references; see registries")
    if members.get("remoteCA"):
        notes.note("remoteCA: write it to a file, and name that as ca_file of the registry in the settings")
    if members.get("skipTLSVerification"):
        notes.note("skipTLSVerification: certificates are always checked; name the registry's own as ca_file")
    history = [name for name in _HISTORY if members.get(name)]
    if history:
        notes.note(f"{', '.join(history)}: history of the old registry, which stays there")
    for name in sorted(members.keys() - _COMMON - _KNOWN[kind]):
        notes.note(f"{name}: nobody knows this member; it is left out")


def _spelled(repository: Repository, own: str) -> str:
    text = repository.name if repository.registry == own else str(repository)
    return re.sub(r"[^a-z0-9]+", "-", text)
