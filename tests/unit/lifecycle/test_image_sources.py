"""What a scan of task definitions makes of ECS's answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lifecycle.adapters.aws.image_sources import Found, task_definitions
from lifecycle.domain.digest import digest_of

ARN = "arn:aws:ecs:us-west-2:123456789012:task-definition/vision:1"
DIGEST = digest_of(b"an image")


class Ecs:
    """One active task definition, which `by` registered; `described` counts."""

    def __init__(self, by: str | None) -> None:
        self.definition = {"image": f"vision@{DIGEST}", **({"registeredBy": by} if by else {})}
        self.described = 0
        self._call = ""

    def get_paginator(self, call: str) -> Ecs:
        self._call = call
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield {"taskDefinitionArns": [ARN]} if self._call == "list_task_definitions" else {"clusterArns": []}

    def describe_task_definition(self, **_: Any) -> dict[str, Any]:
        self.described += 1
        return {"taskDefinition": self.definition}


@pytest.mark.parametrize(
    ("by", "counts"),
    [
        (None, True),
        ("arn:aws:iam::123456789012:user/ada", True),
        ("arn:aws:sts::123456789012:assumed-role/AWSServiceRoleForBatch/aws-batch", False),
        ("arn:aws:iam::123456789012:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch", False),
    ],
)
def test_task_definition_counts_unless_batch_registered_it_for_its_jobs(by: str | None, counts: bool) -> None:
    found = Found("vision")
    task_definitions(Ecs(by), found, known={})
    assert [use.of for use in found.uses] == ([DIGEST] if counts else [])


def test_task_definition_is_described_once() -> None:
    ecs, known = Ecs(None), dict[str, list[str]]()
    for _ in range(2):
        task_definitions(ecs, Found("vision"), known=known)
    assert ecs.described == 1
