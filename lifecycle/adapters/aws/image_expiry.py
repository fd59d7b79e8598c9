"""ECR's lifecycle policy of the repository, and its preview."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import error_code, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.digest import Digest
from lifecycle.domain.lifecycle_policy import Expiring, is_same_policy
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, TimedOut
from lifecycle.ports.clock import Clock
from lifecycle.ports.wait import wait_for

# ECR looks at every image of the repository, of which there may be many thousands.
_PREVIEW = Wait(shortest_s=0.5, longest_s=5.0, share=0.1, timeout_s=300.0)
_IN_PROGRESS, _COMPLETE = "IN_PROGRESS", "COMPLETE"


class EcrImageExpiry:
    """`ports.ImageExpiry` of one repository."""

    def __init__(self, session: AwsSession, clock: Clock, *, repository: str) -> None:
        self._session = session
        self._clock = clock
        self._repository = repository

    @cached_property
    def _ecr(self) -> Any:
        return self._session.client("ecr")

    def policy(self) -> str | None:
        with self._asking("reading the lifecycle policy of repository `{}` (ecr:GetLifecyclePolicy)"):
            try:
                found = self._ecr.get_lifecycle_policy(repositoryName=self._repository)
            except ClientError as error:
                if error_code(error) == "LifecyclePolicyNotFoundException":
                    return None
                raise
        return str(found["lifecyclePolicyText"])

    def preview(self, policy: str) -> tuple[Expiring, ...]:
        wait_for(lambda: self._start(policy), bool, _PREVIEW, self._clock, timed_out=self._pending)
        first = wait_for(
            self._page, lambda page: page["status"] != _IN_PROGRESS, _PREVIEW, self._clock, timed_out=self._pending
        )
        is_ours = is_same_policy(first["lifecyclePolicyText"], policy)
        if first["status"] != _COMPLETE or not is_ours:
            why = f"its status is {first['status']}" if is_ours else "somebody asked for the preview of another one"
            raise CapctlError(
                "preview-failed",
                f"ECR did not preview the lifecycle policy of repository `{self._repository}`: {why}",
                hint="Run the command again",
            )
        return tuple(
            Expiring(
                digest=Digest(one["imageDigest"]),
                tags=tuple(sorted(one.get("imageTags") or ())),
                pushed_at=one["imagePushedAt"].astimezone(UTC),
                rule=int(one["appliedRulePriority"]),
            )
            for page in self._pages(first)
            for one in page["previewResults"]
        )

    def _start(self, policy: str) -> bool:
        """Whether the preview began: while that of somebody else is in progress, none does."""
        with self._asking("previewing the lifecycle policy of repository `{}` (ecr:StartLifecyclePolicyPreview)"):
            try:
                self._ecr.start_lifecycle_policy_preview(repositoryName=self._repository, lifecyclePolicyText=policy)
            except ClientError as error:
                if error_code(error) == "LifecyclePolicyPreviewInProgressException":
                    return False
                raise
        return True

    def _pages(self, page: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield page
        while token := page.get("nextToken"):
            page = self._page(nextToken=token)
            yield page

    def _page(self, **after: str) -> dict[str, Any]:
        with self._asking(
            "reading a preview of the lifecycle policy of repository `{}` (ecr:GetLifecyclePolicyPreview)"
        ):
            page: dict[str, Any] = self._ecr.get_lifecycle_policy_preview(repositoryName=self._repository, **after)
        return page

    def _pending(self, _: object) -> TimedOut:
        return TimedOut(
            "preview-pending",
            f"ECR's preview of the lifecycle policy of repository `{self._repository}` was not complete after {_PREVIEW.timeout_s:g} s",
            hint="Run the command again",
        )

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        with translated(doing.format(self._repository)):
            try:
                yield
            except ClientError as error:
                if error_code(error) != "RepositoryNotFoundException":
                    raise
                raise CapctlError(
                    "repository-missing",
                    f"ECR has no repository `{self._repository}`",
                    hint="Run `capctl bootstrap` once",
                ) from error
