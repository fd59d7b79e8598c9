"""A release that exists is declared as the state holds it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pulumi_stack.__main__ import run
from pulumi_stack.releases import releases
from pulumi_stack.standing import standing_releases
from tests.fakes.states import STANDING_IDS, releases_state
from tests.unit.pulumi_stack.recorded import Recording, record
from tests.unit.pulumi_stack.test_releases import CONFIG, SPEC


def stored() -> list[tuple[str, str, dict[str, Any]]]:
    """Type, name and inputs of everything that the state holds of releases, in its order."""
    return sorted(
        (resource["type"], resource["urn"].rpartition("::")[2], resource["inputs"])
        for resource in releases_state()["resources"]
        if resource["type"].startswith(("aws:", "capctl:"))
    )


def declared(recording: Recording) -> list[tuple[str, str, dict[str, Any]]]:
    return sorted((resource.type, resource.name, resource.inputs) for resource in recording.resources)


def test_standing_releases_are_declared_with_the_stored_types_names_and_inputs() -> None:
    standing = standing_releases(releases_state())
    assert declared(record(lambda: releases(CONFIG, standing, ()))) == stored()


def test_resources_come_after_those_that_they_depend_on() -> None:
    for release in standing_releases(releases_state()):
        urns = [resource.urn for resource in release.resources]
        needs = {resource.type.rpartition(":")[2]: resource.depends_on for resource in release.resources}
        assert [len(needs[kind]) for kind in ("LaunchTemplate", "ComputeEnvironment", "JobQueue")] == [0, 1, 1]
        assert all(urns.index(urn) < place for place, each in enumerate(release.resources) for urn in each.depends_on)


def test_resources_keep_the_version_of_the_provider_that_took_their_inputs() -> None:
    versions = {each.plugin_version for release in standing_releases(releases_state()) for each in release.resources}
    assert versions == {"7.51.1"}


def test_part_that_this_version_does_not_know_is_kept_too() -> None:
    state = releases_state()
    parent = next(resource["urn"] for resource in state["resources"] if resource["type"].startswith("capctl:"))
    alarm = {
        "urn": "urn:pulumi:test-releases::vision::capctl:release:Release$aws:cloudwatch/metricAlarm:MetricAlarm::more",
        "type": "aws:cloudwatch/metricAlarm:MetricAlarm",
        "parent": parent,
        "inputs": {"threshold": 1},
    }
    state["resources"].append(alarm)
    recording = record(lambda: releases(CONFIG, standing_releases(state), ()))
    assert recording.only("MetricAlarm") == {"threshold": 1}


def by_hand(folder: Path, *ids: str) -> Recording:
    """What `pulumi up` declares whose configuration lists these releases and names an exported state."""
    exported = folder / "state.json"
    exported.write_text(json.dumps({"version": 3, "deployment": releases_state()}))
    specs = [asdict(SPEC) if each == SPEC.id else {"id": each} for each in ids]
    values = {"program": "releases", "base": json.dumps(asdict(CONFIG)), "releases": json.dumps(specs)}
    pulumi.runtime.set_all_config(
        {f"capctl:{name}": value for name, value in (values | {"state": str(exported)}).items()}
    )
    return record(run)


@pytest.mark.parametrize("kept", STANDING_IDS)
def test_plain_update_declares_what_the_exported_state_holds_as_it_stands(tmp_path: Path, kept: str) -> None:
    made = declared(by_hand(tmp_path, kept, SPEC.id))
    (standing,) = [release for release in standing_releases(releases_state()) if release.id == kept]
    assert [each for each in made if SPEC.id not in each[1]] == [each for each in stored() if kept in each[1]]
    assert len([each for each in made if SPEC.id in each[1]]) == len(standing.resources) + 1
