"""`capctl deploy`."""

from collections.abc import Callable

import pytest

from tests.fakes.releases import result_document
from tests.unit.lifecycle.commands.case import BAKED, DEPLOYED, PUSHED, Case, Play, World

READY = (*BAKED, *PUSHED)
MADE = ("deployments.turn", "registry.tag", "pointers.readmit", "stack.add_release", "jobs.submit")
DONE = (*MADE, "pointers.move", "amis.tag")
QUESTION = "Deploy release c3db89e8ed06 on target `test` (account 123456789012, region us-west-2)?"


def answer(agreed: bool) -> Callable[[World], None]:
    def given(world: World) -> None:
        world.answers = (agreed,)

    return given


def without_tracks(world: World) -> None:
    world.ports.jobs.leaves = result_document(tracks=[])


CASES = [
    Case(words="deploy --resume --yes", given=DEPLOYED, code=1, error="nothing-to-resume"),
    Case(words="deploy --resume --ami candidate --yes", given=READY, code=2, error="usage"),
    Case(
        words="deploy --yes",
        given=READY,
        asked=DONE,
        text="{release}",
        document={"schema": "capctl.deployment/1", "changed": True},
        said="✓ read the AMI, the image and the releases",
    ),
    Case(words="deploy --yes", given=DEPLOYED, text="{release}", document={"changed": False, "smoke": None}),
    Case(
        words="deploy --dry-run",
        given=READY,
        text="""\
Plan: deploy release c3db89e8ed06
  because nothing is active; wanted are AMI ami-00000000000000001 and image sha256:cd4efb609166
  1. tag image sha256:cd4efb609166 rel-c3db89e8ed06-20260101, so that it never expires
  2. create release c3db89e8ed06: AMI ami-00000000000000001, image sha256:cd4efb609166
  3. wait until the queue of release c3db89e8ed06 is VALID
  4. smoke release c3db89e8ed06 with s3://vision-capctl-123456789012-us-west-2/videos/face.mp4, for 3m20s at most
  5. pointer: none -> c3db89e8ed06
  then, where a failure is a warning only:
  6. tag AMI ami-00000000000000001 as smoke-passed
  7. drain and prune releases beyond 2: none
  if what was tried proves bad:
  - take the pointer back from release c3db89e8ed06, if it is there
  - give the jobs that wait on release c3db89e8ed06 to the one that takes jobs again
  - remove release c3db89e8ed06, unless the pointer needs it
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1", "title": "deploy release c3db89e8ed06"},
    ),
    Case(
        words="deploy",
        given=READY,
        change=answer(True),
        asked=DONE,
        text="{release}",
        document={"changed": True},
        said=QUESTION,
    ),
    Case(
        words="deploy",
        given=READY,
        change=answer(False),
        code=1,
        document={"schema": "capctl.error/1", "code": "declined", "hint": ""},
        said="Nothing was changed on target `test`",
    ),
    Case(words="deploy", given=READY, code=2, error="confirmation-needed"),
    Case(
        words="deploy --yes",
        given=READY,
        change=without_tracks,
        asked=(*MADE, "pointers.retire", "jobs.close_queue", "stack.remove_releases"),
        code=7,
        error="smoke-failed",
    ),
    Case(words="deploy --yes", code=1, error="ami-missing"),
    Case(words="deploy --yes --ami candidate", given=READY, asked=DONE, text="{release}", document={"changed": True}),
    Case(
        words="deploy --yes --ami nonsense",
        code=1,
        error="channel-missing",
        said="hint: `capctl ami channels` lists them; `capctl ami promote AMI --to nonsense` makes it",
    ),
    Case(
        words="deploy --yes --ami stabel",
        code=1,
        error="channel-missing",
        said="hint: Write `stable`; `capctl ami channels` lists all",
    ),
    Case(
        words="deploy --yes --ami stabel",
        code=1,
        error="channel-missing",
        said="error[channel-missing]: There is no channel `stabel`; did you mean `stable`?",
    ),
    Case(words="deploy --yes --ami Nonsense", code=2, error="ami-id-invalid"),
    Case(words="deploy --yes --ami ami-00000000000000009", code=1, error="ami-missing"),
    Case(words="deploy --yes --image v1", given=BAKED, code=1, error="image-missing"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_deploy(case: Case, played: Play) -> None:
    played(case)
