"""Releases are added to and removed from a stack: which are declared, and which an engine may touch."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters import pulumi_auto
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.adapters.pulumi_change import ReleasesChange
from lifecycle.adapters.pulumi_events import EventLog
from pulumi_stack.config import ReleaseSpec, StandingRelease
from tests.fakes.clock import FakeClock
from tests.fakes.releases import make_release
from tests.fakes.stack import OUTPUTS
from tests.fakes.states import base_state, state_of
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi


class _Engine:
    """An engine before whose update another run adds a release."""

    def __init__(self, state: dict[str, Any], under_lock: dict[str, Any]) -> None:
        self._state, self._under_lock = state, under_lock

    def export(self, name: str) -> dict[str, Any]:
        return self._state if name == "releases" else base_state(asdict(OUTPUTS))

    def current(self, name: str) -> dict[str, Any]:
        return self.export(name)

    def up(self, name: str, program: Callable[[], None], *, refresh: bool, targets: list[str]) -> EventLog:
        self._state = self._under_lock
        program()
        return EventLog(FakeUi())


@pytest.mark.parametrize(("removed", "kept"), [(None, [1, 2, 3]), (1, [2])])
def test_wanted_releases_are_those_that_exist_under_the_lock(
    tmp_path: Path, removed: int | None, kept: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    declared: list[str] = []

    def declare(_: object, standing: Sequence[StandingRelease], specs: Sequence[ReleaseSpec]) -> None:
        declared.extend(release.id for release in standing)
        declared.extend(spec.id for spec in specs)

    def reconcile(state: dict[str, Any], session: object, project: str, release_ids: frozenset[str]) -> dict[str, Any]:
        assert release_ids == {make_release(removed or 3).id}
        return state

    monkeypatch.setattr("pulumi_stack.releases.releases", declare)
    monkeypatch.setattr(pulumi_auto, "reconciled", reconcile)
    target = make_target(tmp_path)
    stack = PulumiStack(target, AwsSession(target), FakeClock(), FakeUi(), environment={})
    monkeypatch.setattr(
        stack, "_engine", _Engine(state_of(make_release(1)), state_of(make_release(1), make_release(2)))
    )
    if removed:
        stack.remove_releases({make_release(removed).id})
    else:
        stack.add_release(make_release(3))
    assert declared == [make_release(number).id for number in kept]


def test_engine_may_touch_only_what_comes_goes_or_is_half_made_and_not_needed() -> None:
    whole, half, wanted = make_release(1), make_release(2), make_release(3)
    state = {"resources": state_of(whole)["resources"] + state_of(half, without="JobQueue")["resources"]}
    target = make_target(Path())

    def released(change: ReleasesChange) -> set[str]:
        patterns = change.targets(target, state)
        return {one.id for one in (whole, half, wanted) if any(one.id in pattern for pattern in patterns)}

    assert released(ReleasesChange.from_state(state, added=wanted)) == {wanted.id, half.id}
    assert released(ReleasesChange.from_state(state, added=wanted, needed={half.id})) == {wanted.id}
    assert released(ReleasesChange.from_state(state, removed={whole.id}, needed={half.id})) == {whole.id}
    assert released(ReleasesChange.from_state(state, removed={wanted.id}, needed={half.id})) == {wanted.id}
    assert ReleasesChange.from_state(state, needed={half.id}).targets(target, state) == []
