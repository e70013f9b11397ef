"""An import as a whole: from the texts of exports to the text of a policy file."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from towline.errors import PolicyError
from towline.policy.document import read_policies
from towline.policy.dtr.notes import Notes, UnusablePolicyError
from towline.policy.dtr.policies import Importer
from towline.policy.dtr.reading import Exported


@dataclass(frozen=True, slots=True)
class Import:
    """What came of an import."""

    #: The policy file.
    text: str
    #: What people should know, each with its place.
    notes: tuple[str, ...]
    #: What was left out, and what the check refuses, each with its place.
    problems: tuple[str, ...]


def import_policies(exports: Iterable[Exported], own: str) -> Import:
    """Return a policy file for exported policies; ``own`` names the registry that they were made in."""
    importer = Importer(own)
    blocks: list[str] = []
    notes: list[str] = []
    problems: list[str] = []
    for exported in exports:
        told = Notes(exported.place)
        try:
            policy = importer.convert(exported, told)
        except UnusablePolicyError as error:
            problems.append(f"{exported.place}: {error}")
            blocks.append(_comment([f"left out: {exported.place}: {error}"]))
            continue
        notes += [f"{told.place}: {text}" for text in told.told]
        blocks.append(_comment(told.told) + _written(policy))
    text = _head(importer) + "policies:" + ("\n" if any("- name:" in block for block in blocks) else " []\n")
    text += "".join(blocks)
    return Import(text, tuple(notes), (*problems, *_refused(text)))


def _refused(text: str) -> list[str]:
    try:
        read_policies(text, None, "the result")
    except PolicyError as error:
        return error.problems
    return []


def _head(importer: Importer) -> str:
    settings = importer.hosts.settings()
    if not settings:
        return ""
    return _comment(["The settings must know these registries:", *settings], indent="")


def _comment(lines: Iterable[str], indent: str = "  ") -> str:
    return "".join(f"{indent}# {' '.join(line.splitlines()) if line.strip() else ''}\n" for line in lines)


def _written(policy: dict[str, Any]) -> str:
    lines: list[str] = []
    for name, value in policy.items():
        if name != "rules":
            lines.append(f"{name}: {_flow(value)}")
            continue
        lines.append("rules:")
        lines += [f"  - {_flow(rule)}" for rule in value]
    return "".join(f"{'  - ' if number == 0 else '    '}{line}\n" for number, line in enumerate(lines))


def _flow(value: Any) -> str:
    written = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**31)
    return written.removesuffix("\n").removesuffix("\n...")
