"""A target with two releases, promoted one after the other."""

from dataclasses import replace

from lifecycle.domain.ami import AmiId
from lifecycle.domain.plan import Plan
from lifecycle.domain.release import Release
from lifecycle.workflows.execute import execute
from lifecycle.workflows.lookups import active_pointer
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.rollback import plan_rollback
from tests.fakes.objects import FakeObjects
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack, deployed

BUCKET = "vision-capctl-123456789012-us-west-2"
VIDEO = f"s3://{BUCKET}/videos/a.mp4"


def numbered(number: int) -> Release:
    """A release of the first AMI that is added to `FakeAmis`."""
    return replace(make_release(number), ami_id=AmiId(f"ami-{1:017x}"))


OLD, NEW = numbered(1), numbered(2)


def two_promoted() -> FakePorts:
    """`OLD` and `NEW`, which is active."""
    stack = FakeStack()
    objects = FakeObjects(BUCKET)
    objects.write(VIDEO, b"a film")
    made = FakePorts(stack=stack, objects=objects)
    made.amis.add("models")
    stack.add_release(OLD)
    stack.add_release(NEW)
    for release in (OLD, NEW):
        promote(made, release)
    return made


def promote(ports: FakePorts, release: Release) -> None:
    step = MovePointer(
        ports=ports,
        run=RUN,
        release_id=release.id,
        seen=ports.pointers.read(),
        find=lambda: deployed(release).place,
        require_ami=ports.amis.get,
    )
    execute(Plan(title="promote", because="a test asks", steps=(step,)), ports, RUN)


def rollback(ports: FakePorts, to: Release | None = None) -> str:
    """Returns the id of the release that is active then."""
    execute(plan_rollback(ports, RUN, to=to.id if to else None), ports, RUN)
    return active_pointer(ports).release_id
