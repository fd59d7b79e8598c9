"""What a bake needs, made of fakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.channel import CANDIDATE
from lifecycle.domain.digest import digest_of
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.plan import Plan
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.workflows.bake import Baked, bake
from lifecycle.workflows.execute import execute
from lifecycle.workflows.model_objects import object_uri
from tests.fakes.amis import BASE_PARAMETER, FakeAmis
from tests.fakes.baker import FakeBaker
from tests.fakes.objects import FakeObjects
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target

CONTENTS = {"models/age.onnx": b"age", "checkpoints/llava/weights.bin": b"weights"}


class Scene:
    """A locked and pushed model set, and an account that holds a base AMI."""

    def __init__(self, folder: Path, *, damage: Callable[[dict[str, Any]], None] = lambda _: None, **ami: Any) -> None:
        self.target = make_target(folder, ami={"base": BASE_PARAMETER, **ami}, models={"budget_bytes": 1000})
        self.amis = FakeAmis()
        self.baker = FakeBaker(self.amis, damage=damage)
        self.objects = FakeObjects(self.target.bucket)
        self.ports = FakePorts(amis=self.amis, baker=self.baker, objects=self.objects)
        self.lock = self.ports.model_lock
        self.change_models(CONTENTS)

    def change_models(self, contents: dict[str, bytes]) -> None:
        files = []
        for path, data in contents.items():
            sha256 = digest_of(data).removeprefix("sha256:")
            files.append(ModelFile(path=path, bytes=len(data), sha256=sha256))
            self.objects.stored[object_uri(self.target, files[-1])] = (data, sha256)
        self.lock.write(model_set(tuple(files)))

    def plan(self, **options: Any) -> Plan:
        """What `--dry-run` shows, with options of `bake`."""
        plans: list[Plan] = []
        options = {"force": False, **options}
        assert bake(self.ports, self.target, RUN, carry_out=plans.append, **options) is None
        return plans[0]

    def bake(self, *, force: bool = False) -> AmiRecord:
        return self.baked(force=force).ami

    def baked(self, **options: Any) -> Baked:
        options = {"force": False, **options}
        baked = bake(self.ports, self.target, RUN, carry_out=lambda plan: execute(plan, self.ports, RUN), **options)
        assert baked is not None
        return baked

    def reports(self) -> list[str]:
        """Where reports of instances are kept."""
        return [uri for uri in self.objects.stored if "/evidence/" in uri]

    def remove_reports(self) -> None:
        for uri in self.reports():
            del self.objects.stored[uri]

    def mark(self, ami_id: AmiId, status: str) -> None:
        self.amis.tag(ami_id, {Tag.STATUS.value: status})

    def leave_unproven(self) -> AmiRecord:
        """What a run leaves that was killed after the bake."""
        ami = self.bake()
        self.mark(ami.id, AmiStatus.CANDIDATE)
        self.ports.channels.delete(CANDIDATE)
        return ami


def names_of(plan: Plan) -> list[str]:
    return [type(step).__name__ for step in plan.steps]


FINISH = ["CompleteAmi", "ProveAmi", "NameCandidate"]


def failure_of(scene: Scene) -> CapctlError:
    with pytest.raises(CapctlError) as failed:
        scene.plan()
    return failed.value
