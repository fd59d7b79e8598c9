"""How a preview of ECR's is waited for: it is ECR's own work, and one for all who ask."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifecycle.adapters.aws.image_expiry import EcrImageExpiry
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.errors import CapctlError, Denied, TimedOut
from tests.fakes.clock import FakeClock
from tests.fakes.targets import make_target

POLICY = make_target(Path()).lifecycle_policy.text()
OTHER = make_target(Path(), image={"registry": {"expire_code_days": 1}}).lifecycle_policy.text()
BUSY = ClientError({"Error": {"Code": "LifecyclePolicyPreviewInProgressException", "Message": "busy"}}, "Start")
REFUSED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Start")
IMAGE = {
    "imageDigest": "sha256:" + "a" * 64,
    "imageTags": ["code-1", "a"],
    "imagePushedAt": datetime(2026, 1, 1, tzinfo=UTC),
    "appliedRulePriority": 3,
}


class Ecr:
    """Answers each call with the next of its answers, the last one for ever."""

    def __init__(self, starts: list[Any], looks: list[Any]) -> None:
        self._answers = {"start": starts, "look": looks}

    def start_lifecycle_policy_preview(self, **_: Any) -> Any:
        return self._next("start")

    def get_lifecycle_policy_preview(self, **_: Any) -> Any:
        return self._next("look")

    def _next(self, call: str) -> Any:
        answers = self._answers[call]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def look(status: str = "COMPLETE", text: str = POLICY, **more: Any) -> dict[str, Any]:
    return {"status": status, "lifecyclePolicyText": text, "previewResults": [IMAGE]} | more


Preview = Callable[..., tuple[list[str], FakeClock]]


@pytest.fixture
def preview(monkeypatch: pytest.MonkeyPatch) -> Preview:
    def run(*, starts: list[Any], looks: list[Any]) -> tuple[list[str], FakeClock]:
        monkeypatch.setattr(AwsSession, "client", lambda *_: Ecr(starts, looks))
        clock = FakeClock()
        expiry = EcrImageExpiry(AwsSession(make_target(Path())), clock, repository="vision")
        return [str(image) for image in expiry.preview(POLICY)], clock

    return run


def test_preview_in_progress_is_looked_at_again_and_told_by_pages(preview: Preview) -> None:
    waiting = look("IN_PROGRESS")
    found, clock = preview(starts=[{}], looks=[waiting, waiting, look(nextToken="1"), look()])
    assert found == [f"{IMAGE['imageDigest']} (a, code-1)"] * 2
    assert len(clock.slept) == 2


def test_preview_of_somebody_else_is_waited_for(preview: Preview) -> None:
    found, clock = preview(starts=[BUSY, BUSY, {}], looks=[look()])
    assert len(found) == 1
    assert len(clock.slept) == 2


@pytest.mark.parametrize(
    ("starts", "looks", "kind", "said"),
    [
        ([REFUSED], [look()], Denied, "ecr:StartLifecyclePolicyPreview"),
        ([{}], [REFUSED], Denied, "ecr:GetLifecyclePolicyPreview"),
        ([{}], [look("FAILED")], CapctlError, "its status is FAILED"),
        ([{}], [look(text=OTHER)], CapctlError, "somebody asked for the preview of another one"),
        ([{}], [look("IN_PROGRESS")], TimedOut, "after 300 s"),
        ([BUSY], [look()], TimedOut, "after 300 s"),
    ],
)
def test_preview_that_cannot_be_read_is_told(
    preview: Preview, starts: list[Any], looks: list[Any], kind: type[CapctlError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        preview(starts=starts, looks=looks)
