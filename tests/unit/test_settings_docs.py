"""``docs/settings.md`` has every member once, and is a settings file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from towline.settings import Settings, load_settings

TEXT = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def members(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names of all members, those of parts too."""
    for name, field in model.model_fields.items():
        yield name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from members(part)


def keys(value: Any) -> Iterator[str]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield name
        yield from keys(inner)


def test_the_reference_has_every_member() -> None:
    assert set(members(Settings)) <= set(keys(yaml.safe_load(BLOCK)))


def test_the_reference_is_a_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "towline.yaml").write_text(BLOCK, encoding="utf-8")
    monkeypatch.setenv("TOWLINE_SETTINGS", str(tmp_path / "towline.yaml"))
    assert set(load_settings().registries) == {"local", "prod", "hub", "lab"}
