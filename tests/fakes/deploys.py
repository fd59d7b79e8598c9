"""What a deploy needs, made of fakes."""

from pathlib import Path

from lifecycle.config.target import Target
from lifecycle.domain.ami import Tag
from lifecycle.domain.plan import Done
from lifecycle.workflows.deploy import Wanted, plan_deploy
from lifecycle.workflows.execute import execute
from tests.fakes.amis import FakeAmis
from tests.fakes.images import FakeImages
from tests.fakes.jobs import FakeJobs
from tests.fakes.pointers import FakePointers
from tests.fakes.ports import FakePorts
from tests.fakes.releases import MODEL_SET, result_document
from tests.fakes.results import FakeResults
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack
from tests.fakes.targets import make_target


class DeployWorld:
    """A bootstrapped target with one verified AMI and one pushed image."""

    def __init__(self, folder: Path) -> None:
        self.target: Target = make_target(
            folder,
            release={"subnet_ids": ("subnet-1",), "security_group_ids": ("sg-1",)},
            smoke={"video_url": "s3://vision-capctl-123456789012-us-west-2/videos/face.mp4", "timeout_s": 100},
        )
        self.amis = FakeAmis()
        self.ami = self.amis.add("models", tags=ami_tags("verified"))
        self.images = FakeImages()
        self.images.build_base()
        self.images.push_code()
        self.stack = FakeStack()
        self.pointers = FakePointers()
        self.jobs = FakeJobs(self.stack)
        self.results = FakeResults(result_document())
        self.ports = FakePorts(
            amis=self.amis,
            images=self.images,
            stack=self.stack,
            pointers=self.pointers,
            jobs=self.jobs,
            results=self.results,
        )

    def deploy(self, **wanted: str) -> Done:
        return execute(plan_deploy(self.ports, self.target, RUN, Wanted(**wanted)), self.ports, RUN)

    def change_code(self) -> None:
        self.images.code += "#"
        self.images.push_code()

    @property
    def active(self) -> str | None:
        pointer = self.pointers.read()
        return pointer.release_id if pointer else None

    @property
    def ids(self) -> list[str]:
        return [release.release.id for release in self.stack.releases()]


def ami_tags(status: str) -> dict[str, str]:
    """Tags of an AMI of the project."""
    return {Tag.PROJECT: "vision", Tag.STATUS: status, Tag.MODEL_SET: MODEL_SET}
