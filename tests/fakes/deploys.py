"""What a deploy needs, made of fakes."""

from dataclasses import replace
from pathlib import Path

from lifecycle.config.schema import StackSection
from lifecycle.config.target import Target
from lifecycle.domain.plan import Done
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.resume import plan_resume
from lifecycle.workflows.wanted_release import Wanted
from tests.fakes.ports import FakePorts
from tests.fakes.releases import MODEL_SET
from tests.fakes.runs import RUN
from tests.fakes.stack import OUTPUTS
from tests.fakes.targets import make_target

VIDEO = f"s3://{OUTPUTS.bucket}/videos/face.mp4"


class DeployWorld:
    """A bootstrapped target with one verified AMI and one pushed image."""

    def __init__(self, folder: Path) -> None:
        self.target: Target = make_target(
            folder,
            release={"subnet_ids": ("subnet-1",), "security_group_ids": ("sg-1",)},
            smoke={"video_url": VIDEO, "timeout_s": 100},
        )
        self.ports = FakePorts()
        self.runs = 0
        self.amis, self.jobs, self.pointers, self.stack = (
            self.ports.amis,
            self.ports.jobs,
            self.ports.pointers,
            self.ports.stack,
        )
        self.ports.objects.write(VIDEO, b"a face")
        self.ami = self.amis.add("models", tags=ami_tags("verified"))
        self.ports.base_builder.build()
        self.ports.code.push()

    def run(self) -> Run:
        """A run of its own, as every command is."""
        self.runs += 1
        return replace(RUN, id=f"20260101-000000-{self.runs:06x}")

    def deploy(self, **wanted: str) -> Done:
        run = self.run()
        return execute(plan_deploy(self.ports, self.target, run, Wanted(**wanted)), self.ports, run)

    def resume(self) -> Done:
        run = self.run()
        return execute(plan_resume(self.ports, self.target, run), self.ports, run)

    def deploy_three(self) -> tuple[str, ...]:
        """Deploy one after the other, and keep all; returns their ids."""
        self.target = replace(self.target, settings=replace(self.target.settings, stack=StackSection(keep_releases=3)))
        for _ in range(3):
            self.change_code()
            self.deploy()
        return tuple(self.ids)

    def change_code(self) -> None:
        self.ports.code.files["job.py"] += "#"
        self.ports.code.push()

    @property
    def active(self) -> str | None:
        pointer = self.pointers.read()
        return pointer.release_id if pointer else None

    @property
    def ids(self) -> list[str]:
        return [release.id for release in self.stack.releases()]


def ami_tags(status: str) -> dict[str, str]:
    """Tags of an AMI of the project."""
    return {Tag.PROJECT: "vision", Tag.STATUS: status, Tag.MODEL_SET: MODEL_SET}
