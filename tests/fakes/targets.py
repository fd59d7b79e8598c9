"""Targets for tests."""

from pathlib import Path
from typing import Any

from lifecycle.config.rules import valid_values
from lifecycle.config.schema import Settings
from lifecycle.config.sections import section_of
from lifecycle.config.target import Target


def make_target(folder: Path, *, endpoint_url: str | None = None, **settings: Any) -> Target:
    """A target of project `vision`; `settings` are sections of capctl.yaml."""
    return Target(
        name="test",
        project="vision",
        account="123456789012",
        region="us-west-2",
        profile=None,
        endpoint_url=endpoint_url,
        registry_url=None,
        folder=folder,
        settings=section_of(Settings, valid_values(Settings, settings, with_defaults=True)),
    )
