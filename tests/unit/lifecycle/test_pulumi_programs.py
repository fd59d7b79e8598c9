"""What a state says of the releases and of the base stack, whichever version of capctl wrote it."""

import json
from dataclasses import MISSING, asdict, fields, replace
from typing import Any

import pytest

from lifecycle.adapters.pulumi_programs import base_outputs, deployed_releases, release_spec, stack_record
from lifecycle.domain.digest import Digest
from lifecycle.domain.image import ImageRef
from lifecycle.domain.moments import told_moment
from lifecycle.domain.release import DeployedRelease
from lifecycle.ports.stack import BaseOutputs
from tests.fakes.releases import MODEL_SET, make_release
from tests.fakes.stack import OUTPUTS
from tests.fakes.states import KINDS, STANDING_IDS, base_state, releases_state, state_of


def recorded(record: str | None) -> DeployedRelease:
    """The release of a state that holds one, with this record."""
    state = state_of(make_release())
    component = state["resources"][0]
    component["inputs"] = {} if record is None else {"record": record}
    (release,) = deployed_releases(state)
    return release


def test_release_that_an_earlier_version_made_is_read_as_it_was_named() -> None:
    old, new = deployed_releases(releases_state())
    assert (old.id, new.id) == STANDING_IDS
    assert old == DeployedRelease(
        id="b65c0c74f19e",
        ami_id=old.ami_id,
        image=make_release(1).image,
        model_set=MODEL_SET,
        compute_environment_arn="arn:aws:batch:us-west-2:123456789012:compute-environment/vision-b65c0c74f19e",
        job_queue_arn="arn:aws:batch:us-west-2:123456789012:job-queue/vision-b65c0c74f19e",
        job_definition_arn="arn:aws:batch:us-west-2:123456789012:job-definition/vision-b65c0c74f19e:1",
    )
    assert old.ami_id.startswith("ami-")


def test_record_says_by_which_schema_it_is_read_and_gives_the_release_back() -> None:
    release = make_release(1, environment={"A": "ä"})
    record = release_spec(release).record
    assert json.loads(record)["schema"] == "capctl.release/1"
    found = recorded(record)
    assert (found.ami_id, found.image, found.model_set) == (release.ami_id, release.image, release.model_set)


def test_spec_holds_every_parameter_under_its_name() -> None:
    release = make_release(1, environment={"A": "1"}, attempts=3)
    spec, parameters = asdict(release_spec(release)), asdict(release.parameters)
    assert {name: spec[name] for name in parameters} == parameters


def test_unknown_keys_of_a_record_are_left_alone() -> None:
    release = make_release()
    fields = json.loads(release_spec(release).record)
    fields |= {"schema": "capctl.release/9", "parameters": {"unheard_of": 1}, "volume": {"snapshot": "snap-1"}}
    found = recorded(json.dumps(fields))
    assert (found.id, found.ami_id, found.image) == (release.id, release.ami_id, release.image)


@pytest.mark.parametrize("record", [None, "", "{}", "[]", "made by hand"])
def test_record_that_says_nothing_hides_no_release(record: str | None) -> None:
    found = recorded(record)
    assert (found.id, found.job_queue_arn) == (make_release().id, f"arn:JobQueue/{make_release().id}")
    assert (found.ami_id, found.image, found.model_set) == ("", ImageRef(repository="", digest=Digest("")), "")


@pytest.mark.parametrize("missing", ["ami_id", "image", "model_set"])
def test_each_key_of_a_record_may_be_missing(missing: str) -> None:
    fields = json.loads(release_spec(make_release()).record)
    whole, partial = (
        recorded(json.dumps(fields)),
        recorded(json.dumps({k: v for k, v in fields.items() if k != missing})),
    )
    assert {name for name, value in asdict(partial).items() if value != asdict(whole)[name]} == {missing}


def test_releases_of_a_state_are_oldest_first() -> None:
    first, second = make_release(1), make_release(2)
    found = deployed_releases(state_of(first, second))
    assert [deployed.id for deployed in found] == [first.id, second.id]


@pytest.mark.parametrize("part", KINDS)
def test_release_that_lacks_a_resource_does_not_exist(part: str) -> None:
    assert deployed_releases(state_of(make_release(), without=part)) == ()


@pytest.mark.parametrize("flag", [{"initErrors": ["INVALID"]}, {"delete": True}])
def test_release_that_failed_or_is_going_does_not_exist(flag: dict[str, Any]) -> None:
    assert deployed_releases(state_of(make_release(), **flag)) == ()


def test_empty_state_holds_nothing() -> None:
    assert deployed_releases({}) == ()
    assert base_outputs({}) is None
    assert base_outputs(base_state({"bucket": "b"})) is None


def test_base_outputs_are_the_stack_resource_outputs() -> None:
    made = replace(OUTPUTS, subnet_ids=("subnet-1", "subnet-2"), security_group_ids=("sg-1",))
    # As in a state, where sequences are lists.
    assert base_outputs(base_state(json.loads(json.dumps(asdict(made))))) == made


def test_base_stack_of_an_earlier_version_lacks_what_came_later_and_is_read_all_the_same() -> None:
    later = {"queue_url", "dead_letters_url", "tasks_table", "subnet_ids", "security_group_ids"}
    outputs = base_outputs(base_state({name: value for name, value in asdict(OUTPUTS).items() if name not in later}))
    assert outputs == replace(OUTPUTS, queue_url="", dead_letters_url="", tasks_table="")
    assert outputs.subnet_ids == outputs.security_group_ids == ()


@pytest.mark.parametrize("missing", [each.name for each in fields(BaseOutputs) if each.default is MISSING])
def test_base_stack_that_was_never_finished_has_no_outputs(missing: str) -> None:
    assert base_outputs(base_state({**asdict(OUTPUTS), missing: ""})) is None


def test_record_of_a_stack_says_what_environments_were_given() -> None:
    state = releases_state()
    found = stack_record(state)
    assert found.deployed == deployed_releases(state)
    assert found.half_made == frozenset()
    assert [(one.max_vcpus, one.template_version) for one in found.releases] == [(40, "1"), (40, "1")]
    assert all(one.template_id.startswith("lt-") for one in found.releases)
    assert [one.created for one in found.releases] == sorted(one.created for one in found.releases)
    assert all(told_moment(one.created) for one in found.releases)


def test_vcpus_are_those_of_the_record_whatever_a_refresh_has_taken_up() -> None:
    state = state_of(make_release())
    for resource in state["resources"]:
        resource.setdefault("inputs", {})["computeResources"] = {"maxVcpus": 4000}
    assert [one.max_vcpus for one in stack_record(state).releases] == [40]
    state["resources"][0]["inputs"]["record"] = "made by hand"
    assert [one.max_vcpus for one in stack_record(state).releases] == [4000]


def test_state_that_says_little_is_no_error() -> None:
    state = state_of(make_release())
    state["resources"][0]["inputs"] = {}
    (found,) = stack_record(state).releases
    assert (found.max_vcpus, found.template_id, found.template_version) == (None, "", "")


@pytest.mark.parametrize("part", KINDS)
def test_half_made_release_is_recorded_as_that(part: str) -> None:
    found = stack_record(state_of(make_release(), without=part))
    assert not found.releases
    assert found.half_made == found.ids == {make_release().id}
