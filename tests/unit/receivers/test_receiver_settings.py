"""What the settings may say of a receiver."""

from typing import Any

import pytest
from pydantic import ValidationError

from towline.settings import ReceiverSettings, Settings

SECRETS = ["env:HOOK_SECRET"]


@pytest.mark.parametrize(
    "member",
    [
        {"url": "https://ci.example.com/hooks/a?b=c", "secrets": SECRETS},
        {"url": "http://10.0.0.7:9000", "secrets": [*SECRETS, "file:/run/next", "env:THIRD"]},
        {"url": "https://[fd00::7]:8443/@team", "secrets": SECRETS},
        {"url_from": "file:/run/secrets/chat"},
        {"url_from": "env:CHAT_URL", "secrets": SECRETS, "ca_file": "/etc/ca.pem"},
    ],
)
def test_a_receiver_has_an_address_or_says_where_one_is_kept(member: dict[str, Any]) -> None:
    assert set(Settings(receivers={"ci": ReceiverSettings(**member)}).receivers) == {"ci"}


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        ({}, "either url or url_from"),
        ({"url": "https://a.example", "url_from": "env:A", "secrets": SECRETS}, "either url or url_from"),
        ({"url": "https://a.example"}, "nobody can tell who sent"),
        ({"url": "https://user:canary@a.example/", "secrets": SECRETS}, "url"),
        ({"url": "https://user@a.example", "secrets": SECRETS}, "url"),
        ({"url": "https://a.example/#fragment", "secrets": SECRETS}, "url"),
        ({"url": "ftp://a.example/", "secrets": SECRETS}, "url"),
        ({"url": "a.example/", "secrets": SECRETS}, "url"),
        ({"url": "https:///path", "secrets": SECRETS}, "url"),
        ({"url": "https://a.example/ b", "secrets": SECRETS}, "url"),
        ({"url": "https://a.example", "secrets": ["a value"]}, "secrets"),
        ({"url": "https://a.example", "secrets": SECRETS * 4}, "secrets"),
        ({"url_from": "https://a.example"}, "url_from"),
        ({"url_from": "env:A", "token": "env:B"}, "token"),
    ],
)
def test_what_is_no_receiver_is_refused_with_what_is_wrong(member: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ReceiverSettings(**member)


@pytest.mark.parametrize("name", ["", "CI", "a b", "-a", "a/b", "a" * 64])
def test_a_name_is_one_that_subscriptions_can_say(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings(receivers={name: ReceiverSettings(url_from="env:A")})
