"""The programs for plain `pulumi up`; the stack's configuration says which one, see README.md."""

from typing import Any

import pulumi

from pulumi_stack.base import base
from pulumi_stack.config import BaseConfig, ReleasesConfig, ReleaseSpec
from pulumi_stack.releases import releases


def spec_of(values: dict[str, Any]) -> ReleaseSpec:
    """A release from configuration, where sequences are lists."""
    fields: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
    return ReleaseSpec(**fields)


def run() -> None:
    """Run the program that `program` names."""
    config = pulumi.Config()
    if config.require("program") == "base":
        base(BaseConfig(**config.require_object("base")))
    else:
        releases(
            ReleasesConfig(**config.require_object("base")),
            [spec_of(values) for values in config.require_object("releases")],
        )


if __name__ == "__main__":
    run()
