"""Pulumi states: one that an earlier version of capctl left, and made ones."""

import json
from dataclasses import asdict
from typing import Any

from lifecycle.domain.release import Release
from tests.fakes.stack import PARTS
from tests.golden import FOLDER

KINDS = {part.rpartition(":")[2]: part for part in PARTS}
URN = "urn:pulumi:test-releases::vision::"

# Of `releases-state.json`, oldest first.
STANDING_IDS = ("b65c0c74f19e", "7488b8786a59")


def releases_state() -> dict[str, Any]:
    """Two releases made by the real Pulumi, without what names the machine or belongs to its passphrase."""
    state: dict[str, Any] = json.loads((FOLDER / "releases-state.json").read_text())
    return state


def base_state(outputs: dict[str, Any]) -> dict[str, Any]:
    """A base stack of which only the outputs are known."""
    kind = "pulumi:pulumi:Stack"
    stack = {"urn": f"urn:pulumi:test-base::vision::{kind}::vision-test-base", "type": kind, "outputs": outputs}
    return {"resources": [stack]}


def state_of(*releases: Release, without: str = "", **flags: Any) -> dict[str, Any]:
    """A state with four resources per release, the newest first, as nothing promises an order."""
    resources: list[dict[str, Any]] = []
    for number, release in reversed(list(enumerate(releases))):
        component = f"{URN}capctl:release:Release::{release.id}"
        record = json.dumps(asdict(release))
        resources.append({"urn": component, "type": "capctl:release:Release", "inputs": {"record": record}})
        resources += [
            {
                "urn": f"{URN}capctl:release:Release${token}::vision-{release.id}",
                "type": token,
                "parent": component,
                "created": f"2026-01-0{number + 1}T00:00:00Z",
                "outputs": {"arn": f"arn:{kind}/{release.id}"},
                **flags,
            }
            for kind, token in KINDS.items()
            if kind != without
        ]
    return {"resources": resources}
