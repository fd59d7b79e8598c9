"""A network and a secret that cannot be are refused with what they must be."""

from typing import Any

import pytest

from lifecycle.config.rules import valid_values
from lifecycle.config.schema import Settings
from lifecycle.config.validate import complaints

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:team/database-a1b2c3"


@pytest.mark.parametrize(
    "settings",
    [
        {"network": {"create": True}},
        {"network": {"cidr": "192.168.0.0/16", "zones": ("a", "d")}},
        {"network": {"cidr": "172.31.255.128/25"}},
        {"release": {"database_secret_arn": SECRET}},
        {"release": {"database_secret_arn": None}},
    ],
)
def test_what_can_be_is_taken(settings: dict[str, Any]) -> None:
    assert valid_values(Settings, settings)


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("network", "cidr", "10.0.0.0/8", "must be a block of IPv4 addresses from /16 to /25"),
        ("network", "cidr", "10.0.0.0/26", "must be a block of IPv4 addresses from /16 to /25"),
        ("network", "cidr", "10.0.0.256/16", "must be a block of IPv4 addresses from /16 to /25"),
        ("network", "cidr", "10/64.0.0/16", "must be a block of IPv4 addresses from /16 to /25"),
        ("network", "cidr", "10.64.1.0/16", "must begin where its block does, at `10.64.0.0/16`"),
        ("network", "zones", ("a",), "must have at least 2 entries"),
        ("network", "zones", ("a", "b", "c", "d"), "must have at most 3 entries"),
        ("network", "zones", ("a", "us-west-2b"), "must be the letter of an availability zone"),
        ("release", "database_secret_arn", SECRET.removesuffix("-a1b2c3"), "must be the ARN of a secret"),
        ("release", "database_secret_arn", "postgresql://user:password@db/jobs", "must be the ARN of a secret"),
    ],
)
def test_what_cannot_be_is_refused_with_what_it_must_be(section: str, key: str, value: Any, expected: str) -> None:
    found = complaints(Settings, {section: {key: value}}, lambda _: None)
    assert [expected in one.text for one in found] == [True], [one.text for one in found]
    assert f"`{section}.{key}" in found[0].text
