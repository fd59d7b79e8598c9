"""The real Pulumi on a state that an earlier version of capctl wrote: whatever the code says by now, nothing of it changes."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import asdict, field, make_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pulumi_aws import batch, iam

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.clock import SystemClock
from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.adapters.pulumi_engine import PulumiEngine
from lifecycle.domain.release import Parameters, Release
from lifecycle.errors import CapctlError
from lifecycle.ports.stack import Operation
from pulumi_stack.components import release as component
from pulumi_stack.standing import ENVIRONMENT, QUEUE
from tests.fakes.releases import make_release
from tests.fakes.stack import OUTPUTS
from tests.fakes.states import STANDING_IDS, base_state, releases_state
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.rehearsal.stage_parts import emulated_credentials, provider_folder, require_pulumi

pytestmark = pytest.mark.rehearsal

GROWN = make_dataclass(
    "Parameters",
    [("shared_memory_mib", int, field(default=64))],
    bases=(Parameters,),
    frozen=True,
    slots=True,
    kw_only=True,
)


def with_defaults() -> dict[str, Any]:
    """The state with the lists of defaults that the real provider keeps among the inputs, at every depth."""
    state = releases_state()
    for resource in state["resources"]:
        if resource["type"].startswith("aws:"):
            resource["inputs"] = _marked(resource["inputs"])
    return state


def of_another_provider() -> dict[str, Any]:
    """The state as an older version of the provider left it."""
    state = json.dumps(releases_state()).replace("7.51.1", "7.40.0").replace("7_51_1", "7_40_0")
    changed: dict[str, Any] = json.loads(state)
    return changed


def damaged(state: dict[str, Any]) -> dict[str, Any]:
    """The state without the queue of the newer release, and with an environment of it that never came to life."""
    newer = STANDING_IDS[-1]
    kept = [r for r in state["resources"] if not (r["type"] == QUEUE and r["urn"].endswith(newer))]
    errors = {"initErrors": ["unexpected state 'INVALID'"]}
    return {
        **state,
        "resources": [r | errors if r["type"] == ENVIRONMENT and r["urn"].endswith(newer) else r for r in kept],
    }


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {"__defaults": []} | {name: _marked(each) for name, each in value.items()}
    return [_marked(each) for each in value] if isinstance(value, list) else value


@pytest.fixture
def state() -> dict[str, Any]:
    return releases_state()


@pytest.fixture
def stack(tmp_path: Path, state: dict[str, Any]) -> Iterator[PulumiStack]:
    """The stacks of a target with that state. No preview asks AWS anything, so that nobody listens at the endpoint."""
    require_pulumi()
    target = make_target(tmp_path, endpoint_url="http://127.0.0.1:9", stack={"state": "file://state"})
    with emulated_credentials(PATH=f"{provider_folder()}:{os.environ['PATH']}"):
        engine = PulumiEngine(target, FakeUi(), os.environ)
        for name, deployment in (("base", base_state(asdict(OUTPUTS))), ("releases", state)):
            engine.create(name)
            engine.repair(name, lambda now, given=deployment: {**now, **given})
        yield PulumiStack(target, AwsSession(target), SystemClock(), FakeUi())


def operations(
    stack: PulumiStack, release: Release, *, needed: Collection[str] = ()
) -> dict[str | None, list[Operation]]:
    """What making `release` would do, by release."""
    found: dict[str | None, list[Operation]] = {}
    for change in stack.preview_release(release, needed=needed):
        found.setdefault(change.release_id, []).append(change.operation)
    return found


def untouched_beside(release: Release) -> dict[str | None, list[Operation]]:
    return dict.fromkeys(STANDING_IDS, [Operation.SAME] * 4) | {release.id: [Operation.CREATE] * 4}


@pytest.fixture
def new(monkeypatch: pytest.MonkeyPatch) -> Release:
    """A release of a capctl with one more parameter."""
    monkeypatch.setattr("lifecycle.domain.release.Parameters", GROWN)
    release = make_release()
    return replace(release, parameters=GROWN(**asdict(release.parameters)))


@pytest.fixture
def changed_components(monkeypatch: pytest.MonkeyPatch) -> None:
    """Components that make a release otherwise, and of one part more."""
    made = component.Release._job_definition

    def more(self: component.Release) -> batch.JobDefinition:
        iam.Role(f"{self._name}-more", name=f"{self._name}-more", assume_role_policy="{}", opts=self._within)
        return made(self)

    monkeypatch.setattr(component.Release, "_job_definition", more)
    monkeypatch.setattr(component, "user_data", lambda: "otherwise")
    monkeypatch.setattr(component, "container_properties", lambda *_: "{}")
    monkeypatch.setattr(component, "_MISCONFIGURED_LIMIT_S", 600)


def test_more_parameters_neither_rename_nor_touch_a_release(stack: PulumiStack, new: Release) -> None:
    assert tuple(release.id for release in stack.releases()) == STANDING_IDS
    assert operations(stack, new) == untouched_beside(new)


@pytest.mark.usefixtures("changed_components")
def test_changed_components_touch_no_release_that_stands(stack: PulumiStack) -> None:
    release = make_release()
    expected = untouched_beside(release)
    assert operations(stack, release) == expected | {release.id: [Operation.CREATE] * 5}


@pytest.mark.parametrize("state", [with_defaults(), of_another_provider()])
def test_neither_the_provider_s_marks_nor_its_version_make_a_difference(stack: PulumiStack) -> None:
    release = make_release()
    assert operations(stack, release) == untouched_beside(release)


@pytest.mark.parametrize("state", [damaged(releases_state())])
def test_what_exists_of_a_damaged_release_is_touched_only_when_nobody_needs_it(stack: PulumiStack) -> None:
    whole, broken = STANDING_IDS
    release = make_release()
    assert stack.half_made() == {broken}
    beside = {whole: [Operation.SAME] * 4, release.id: [Operation.CREATE] * 4}
    assert operations(stack, release, needed={broken}) == beside | {broken: [Operation.SAME] * 3}
    assert operations(stack, release) == beside | {broken: [Operation.DELETE] * 3}


def test_update_that_is_told_of_no_state_deletes_nothing(stack: PulumiStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look is before the update, the one that fails within it."""
    export, looks = PulumiEngine.export, iter([False, False, True])

    def forgetful(self: PulumiEngine, name: str) -> dict[str, Any] | None:
        return None if next(looks, False) else export(self, name)

    monkeypatch.setattr(PulumiEngine, "export", forgetful)
    # Nobody listens who could say what AWS has.
    monkeypatch.setattr("lifecycle.adapters.pulumi_auto.reconciled", lambda state, *_: state)
    with pytest.raises(CapctlError) as failed:
        stack.remove_releases({STANDING_IDS[0]})
    assert failed.value.code == "stack-failed"
    assert not failed.value.is_verdict
    assert tuple(release.id for release in stack.releases()) == STANDING_IDS
