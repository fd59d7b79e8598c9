"""What AWS has of a release and the state does not know is taken over when it is the release's own; what AWS has no more is forgotten."""

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.pulumi_lost import reconciled
from lifecycle.errors import CapctlError
from pulumi_stack.standing import COMPONENT, DEFINITION, ENVIRONMENT, QUEUE, TEMPLATE
from tests.fakes.releases import make_release
from tests.fakes.states import KINDS, URN, state_of

RELEASE = make_release()
NAME = f"vision-{RELEASE.id}"
OWN = {"capctl:project": "vision", "capctl:release": RELEASE.id, "capctl:model-set": "any"}
PROVIDER = f"{URN}pulumi:providers:aws::default_7_51_1"
IDS = {TEMPLATE: "lt-1", DEFINITION: f"arn:{NAME}:2", ENVIRONMENT: NAME, QUEUE: f"arn:queue/{NAME}"}


class _Cloud:
    """An `AwsSession` whose clients know these `parts` of the release; `asked` counts their calls."""

    def __init__(self, *parts: str, tags: dict[str, str] | None = None, status: str = "VALID") -> None:
        self._parts, self._tags, self._status = parts, OWN if tags is None else tags, status
        self.asked = 0

    def client(self, _: str) -> Any:
        return self

    def describe_launch_templates(self, **_: Any) -> dict[str, Any]:
        if not self._has(TEMPLATE):
            code = "InvalidLaunchTemplateName.NotFoundException"
            raise ClientError({"Error": {"Code": code, "Message": "gone"}}, "DescribeLaunchTemplates")
        tags = [{"Key": key, "Value": value} for key, value in self._tags.items()]
        return {"LaunchTemplates": [{"LaunchTemplateId": "lt-1", "Tags": tags}]}

    def describe_job_definitions(self, **_: Any) -> dict[str, Any]:
        revisions = [
            {"jobDefinitionArn": f"arn:{NAME}:{number}", "revision": number, "tags": self._tags} for number in (2, 1)
        ]
        return {"jobDefinitions": revisions if self._has(DEFINITION) else []}

    def describe_compute_environments(self, **_: Any) -> dict[str, Any]:
        found = {"computeEnvironmentName": NAME, "status": self._status, "tags": self._tags}
        return {"computeEnvironments": [found] if self._has(ENVIRONMENT) else []}

    def describe_job_queues(self, **_: Any) -> dict[str, Any]:
        found = {"jobQueueArn": IDS[QUEUE], "status": self._status, "tags": self._tags}
        return {"jobQueues": [found] if self._has(QUEUE) else []}

    def _has(self, kind: str) -> bool:
        self.asked += 1
        return kind in self._parts


def state_with(*kinds: str) -> dict[str, Any]:
    """Where the release has these parts."""
    made = state_of(RELEASE)
    made["resources"] = [one for one in made["resources"] if one["type"] in {COMPONENT, *kinds}]
    made["resources"].insert(0, {"urn": PROVIDER, "type": "pulumi:providers:aws", "id": "p1"})
    return made


def reconcile(state: dict[str, Any], cloud: _Cloud) -> dict[str, Any]:
    return reconciled(state, cast(AwsSession, cloud), "vision", {RELEASE.id})


def parts(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["type"]: one for one in state["resources"] if one["type"] in KINDS.values()}


@pytest.mark.parametrize("kind", IDS)
def test_part_that_the_state_does_not_know_is_taken_over_under_its_id(kind: str) -> None:
    before = state_with(*(other for other in IDS if other != kind))
    after = reconcile(before, _Cloud(*IDS))
    made = parts(after)[kind]
    assert (made["id"], made["provider"], made["inputs"]) == (IDS[kind], f"{PROVIDER}::p1", {})
    assert made["urn"] == f"{URN}{COMPONENT}${kind}::{NAME}"
    assert made["parent"] == f"{URN}{COMPONENT}::{RELEASE.id}"
    assert after["resources"][:-1] == before["resources"]


def test_part_is_taken_over_by_the_provider_that_made_the_last_one_and_without_any_by_the_last_that_there_is() -> None:
    """Earlier ones are those of an earlier version or configuration, which an update removes once nothing is theirs."""
    younger = f"{URN}pulumi:providers:aws::default_7_52_0"
    state = state_with(TEMPLATE, DEFINITION)
    state["resources"].insert(1, {"urn": younger, "type": "pulumi:providers:aws", "id": "p2"})
    for kind in (TEMPLATE, DEFINITION):
        parts(state)[kind].pop("provider", None)
    assert parts(reconcile(state, _Cloud(*IDS)))[QUEUE]["provider"] == f"{younger}::p2"
    parts(state)[TEMPLATE]["provider"], parts(state)[DEFINITION]["provider"] = "elder::p0", f"{PROVIDER}::p1"
    assert parts(reconcile(state, _Cloud(*IDS)))[QUEUE]["provider"] == f"{PROVIDER}::p1"


def test_parts_go_in_the_order_in_which_they_are_made_from_each_other() -> None:
    after = reconcile(state_with(), _Cloud(*IDS))
    assert [one["type"] for one in after["resources"][2:]] == [*IDS]
    assert [one["dependencies"] for one in after["resources"][2:]] == [
        [],
        [],
        [f"{URN}{COMPONENT}${TEMPLATE}::{NAME}"],
        [f"{URN}{COMPONENT}${ENVIRONMENT}::{NAME}"],
    ]


@pytest.mark.parametrize("tags", [{}, {**OWN, "capctl:project": "other"}, {**OWN, "capctl:release": "0" * 12}])
def test_what_others_gave_the_name_to_is_left_to_them(tags: dict[str, str]) -> None:
    state = state_with(TEMPLATE)
    assert reconcile(state, _Cloud(*IDS, tags=tags)) is state


def test_what_is_being_deleted_is_not_taken_over_and_not_yet_forgotten() -> None:
    state = state_with(TEMPLATE, DEFINITION)
    assert reconcile(state, _Cloud(*IDS, status="DELETING")) is state
    state = state_with(*IDS)
    assert reconcile(state, _Cloud(*IDS, status="DELETING")) is state
    assert parts(reconcile(state, _Cloud(*IDS, status="DELETED"))).keys() == {TEMPLATE, DEFINITION}


def test_what_is_gone_is_forgotten() -> None:
    assert parts(reconcile(state_with(*IDS), _Cloud(TEMPLATE, ENVIRONMENT))).keys() == {TEMPLATE, ENVIRONMENT}


def test_what_another_part_is_made_from_stays_in_the_state() -> None:
    """Which the engine would refuse otherwise."""
    state = state_with(*IDS)
    parts(state)[ENVIRONMENT]["dependencies"] = [parts(state)[TEMPLATE]["urn"]]
    assert parts(reconcile(state, _Cloud(ENVIRONMENT, DEFINITION, QUEUE))).keys() == {*IDS}


def test_state_that_knows_all_is_itself() -> None:
    state = state_with(*IDS)
    assert reconcile(state, _Cloud(*IDS)) is state


def test_nothing_is_asked_for_releases_that_the_state_has_nothing_of() -> None:
    cloud = _Cloud(*IDS)
    state: dict[str, Any] = {"resources": []}
    assert reconcile(state, cloud) is state
    assert cloud.asked == 0


def test_trouble_on_the_way_to_aws_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeJobQueues")

    monkeypatch.setattr(_Cloud, "describe_job_queues", fail)
    with pytest.raises(CapctlError) as failed:
        reconcile(state_with(TEMPLATE), _Cloud(*IDS))
    assert failed.value.code == "permission-denied"
