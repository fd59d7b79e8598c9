"""The programs for plain `pulumi up`; the stack's configuration says which one, see README.md."""

import json
from pathlib import Path
from typing import Any

import pulumi

from pulumi_stack.base import base
from pulumi_stack.config import BaseConfig, NetworkConfig, ReleasesConfig, ReleaseSpec, StandingRelease
from pulumi_stack.releases import releases
from pulumi_stack.standing import standing_releases


def base_config_of(values: dict[str, Any]) -> BaseConfig:
    """The names of the base stack from configuration, where the network is a mapping."""
    network = values.get("network")
    return BaseConfig(**{**values, "network": NetworkConfig(**network) if network else None})


def spec_of(values: dict[str, Any]) -> ReleaseSpec:
    """A release from configuration, where sequences are lists."""
    fields: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
    return ReleaseSpec(**fields)


def standing_in(exported: str | None) -> dict[str, StandingRelease]:
    """The releases by id in a file of `pulumi stack export`; none without a file."""
    deployment = json.loads(Path(exported).read_text())["deployment"] if exported else {}
    return {release.id: release for release in standing_releases(deployment)}


def run() -> None:
    """Run the program that `program` names."""
    config = pulumi.Config()
    if config.require("program") == "base":
        base(base_config_of(config.require_object("base")))
    else:
        wanted: list[dict[str, Any]] = config.require_object("releases")
        standing = standing_in(config.get("state"))
        releases(
            ReleasesConfig(**config.require_object("base")),
            [standing[values["id"]] for values in wanted if values["id"] in standing],
            [spec_of(values) for values in wanted if values["id"] not in standing],
        )


if __name__ == "__main__":
    run()
