"""What ``docs/dialects.md`` shows as settings of hooks are settings of hooks, and believe whom they should."""

import re
from pathlib import Path

import yaml

from towline.dialects import DIALECTS
from towline.hook_settings import HookSettings

TEXT = (Path(__file__).parents[3] / "docs" / "dialects.md").read_text(encoding="utf-8")


def test_each_sender_is_shown_with_settings_that_fit_it() -> None:
    shown = re.findall(r"`(\{registry: \N{HORIZONTAL ELLIPSIS}, .*?\})`", TEXT)
    hooks = [
        HookSettings.model_validate(yaml.safe_load(text.replace("\N{HORIZONTAL ELLIPSIS}", "local"))) for text in shown
    ]
    # Those of our own producers, and the second one of two that differ in the address of images only.
    assert {hook.dialect for hook in hooks} == DIALECTS.keys() - {"cloudevents", "jfrog-subdomain", "nexus-path"}
    doubted = {hook.dialect for hook in hooks if not hook.is_believed}
    assert doubted == {"quay", "dockerhub", "aliyun", "dtr"}
