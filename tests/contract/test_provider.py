"""What AWS's own provider does with every resource type that the programs use, asked of the rehearsal's provider on the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.pulumi_adopt import found_id
from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.rehearsal.provider.catalogue import TYPES
from lifecycle.rehearsal.provider.rules import UNKNOWN, schema
from tests.contract.provider_account import TAGS, Properties, named, vpc_of
from tests.contract.provider_cases import CASES, changed_inputs
from tests.contract.provider_engine import DONE, Aborted, Engine, Killed, Made, engine_on, killed_after

BY_KIND = {case.kind: case for case in CASES}
KINDS = {resource.token: resource for resource in TYPES}
EVERY_KIND = pytest.mark.parametrize("kind", BY_KIND)
# What AWS knows by an id of its own, for which it must be asked.
_ASKED = (
    "InternetGateway",
    "JobDefinition",
    "LaunchTemplate",
    "Queue",
    "RouteTable",
    "RouteTableAssociation",
    "SecurityGroup",
    "Subnet",
    "Vpc",
    "VpcEndpoint",
)


@pytest.fixture(scope="module")
def engine(emulator: Emulator) -> Iterator[Engine]:
    with engine_on(emulator) as engine:
        yield engine


def test_every_type_has_its_case() -> None:
    assert {case.token for case in CASES} == KINDS.keys()


@EVERY_KIND
def test_case_tries_every_property_that_is_applied(kind: str, engine: Engine) -> None:
    case, resource = BY_KIND[kind], KINDS[BY_KIND[kind].token]
    applied = {path.partition(".")[0] for path in resource.applied}
    changed = {name for change in case.changes for name in change}
    assert applied == engine.sample(case).keys() | changed
    assert applied - changed - case.unchanged.keys() <= resource.fixed
    assert not changed & resource.fixed


@EVERY_KIND
def test_what_was_created_reads_back_without_a_difference(kind: str, engine: Engine) -> None:
    case = BY_KIND[kind]
    made = engine.create(case)
    found = engine.read(case, made)
    assert found is not None
    assert found.inputs == made.inputs
    assert engine.diff(case, made.inputs, found.inputs).changes == DONE


@EVERY_KIND
def test_import_by_the_id_alone_gives_the_inputs(kind: str, engine: Engine) -> None:
    case = BY_KIND[kind]
    made = engine.create(case)
    found = engine.read(case, made, known=False)
    assert found is not None
    assert engine.diff(case, made.inputs, {name: found.inputs.get(name) for name in made.inputs}).changes == DONE
    assert engine.failures(case.token, found.inputs) == {}


@EVERY_KIND
def test_each_change_in_place_shows_in_the_next_read(kind: str, engine: Engine) -> None:
    case = BY_KIND[kind]
    made = engine.create(case)
    for change in case.changes:
        wanted = changed_inputs(engine.aws, made.inputs, change)
        answer = engine.diff(case, made.inputs, wanted)
        assert (answer.changes != DONE, list(answer.replaces)) == (True, []), change
        made = engine.update(case, made, wanted)
        found = engine.read(case, made)
        assert found is not None, change
        assert found.inputs == wanted, change
        imported = engine.read(case, made, known=False)
        assert imported is not None
        assert {name: imported.inputs.get(name) for name in change if wanted.get(name)} == {
            name: wanted[name] for name in change if wanted.get(name)
        }


@pytest.mark.parametrize(
    ("kind", "name"), [(case.kind, name) for case in CASES for name in sorted(KINDS[case.token].fixed)]
)
def test_what_is_for_life_replaces(kind: str, name: str, engine: Engine) -> None:
    case = BY_KIND[kind]
    inputs = engine.sample(case)
    other = {"string": "other", "boolean": True, "integer": 7}.get(str(schema()[case.token]["properties"][name]), [])
    if name == "encryptionConfigurations":
        other = [{"encryptionType": "KMS", "kmsKey": "arn:aws:kms:us-west-2:123456789012:key/1"}]
    if name == "policy":
        other = '{"rules": []}'
    if name == "eksConfiguration":
        other = {"eksClusterArn": "arn:aws:eks:us-west-2:123456789012:cluster/one", "kubernetesNamespace": "one"}
    if other == inputs.get(name):
        other = None
    assert list(engine.diff(case, inputs, {**inputs, name: other}).replaces) == [name]


@EVERY_KIND
def test_deleted_is_gone_and_may_be_deleted_again(kind: str, engine: Engine) -> None:
    case = BY_KIND[kind]
    made = engine.create(case)
    if kind in _SETTINGS_THAT_STAY:
        engine.aws.s3.delete_bucket(Bucket=made.id)
    engine.delete(case, made)
    assert engine.read(case, made) is None
    assert engine.read(case, made, known=False) is None
    engine.delete(case, made)


# They go with their bucket: of an emulated one nobody needs the defaults back.
_SETTINGS_THAT_STAY = {
    "BucketVersioning",
    "BucketServerSideEncryptionConfiguration",
    "BucketPublicAccessBlock",
    "BucketLifecycleConfiguration",
    "BucketNotification",
}


@EVERY_KIND
def test_what_a_killed_update_was_making_is_found_by_its_inputs(
    kind: str, engine: Engine, emulated_session: AwsSession
) -> None:
    case = BY_KIND[kind]
    made = engine.create(case)
    inputs = made.inputs | ({"tags": {**TAGS, "Name": made.id}} if "tags" in made.inputs else {})
    if inputs != made.inputs:
        engine.update(case, made, inputs)
        # A job definition that changes is another one.
        made = replace(made, id=engine.latest(case, made))
    assert found_id(emulated_session, case.token, inputs) == made.id


@pytest.mark.parametrize("kind", _ASKED)
def test_what_a_killed_update_never_made_is_not_found(kind: str, engine: Engine, emulated_session: AwsSession) -> None:
    case = BY_KIND[kind]
    made = engine.create(case)
    inputs = {**made.inputs, "tags": {**TAGS, "Name": made.id}} if "tags" in made.inputs else made.inputs
    engine.delete(case, made)
    assert found_id(emulated_session, case.token, inputs) is None


@EVERY_KIND
def test_what_a_kill_left_half_made_is_finished_in_place_or_replaced(
    kind: str, engine: Engine, emulated_session: AwsSession
) -> None:
    case, calls = BY_KIND[kind], 0
    while True:
        inputs, calls = case.inputs(engine.aws), calls + 1
        if "tags" in inputs:  # what AWS gives an id of its own is found by its name
            inputs["tags"] = {**TAGS, "Name": named()}
        try:
            with killed_after(calls):
                engine.create_from(case, inputs)
        except Killed:
            found = found_id(emulated_session, case.token, inputs)
            assert found, f"after {calls} calls"
            made = Made(id=found, inputs=inputs, properties=inputs)
            left = engine.read(case, made)
            assert left, f"after {calls} calls"
            diff = engine.diff(case, left.inputs, inputs)
            if diff.diffs and not diff.replaces:
                engine.update(case, left, inputs)
                finished = engine.read(case, made)
                assert finished
                assert finished.inputs == inputs, f"after {calls} calls"
            engine.delete(case, left)
            assert engine.read(case, made) is None, f"after {calls} calls"
        else:
            return


@pytest.mark.parametrize("kind", ["Vpc", "Subnet", "InternetGateway", "RouteTable", "VpcEndpoint", "SecurityGroup"])
def test_of_two_that_look_alike_none_is_taken(kind: str, engine: Engine, emulated_session: AwsSession) -> None:
    case = BY_KIND[kind]
    tags = {"Name": f"twice-{kind}"}
    made = engine.create(case)
    engine.update(case, made, {**made.inputs, "tags": tags})
    belongs = {"vpcId": made.inputs["vpcId"]} if "vpcId" in made.inputs else {}
    other = {**case.inputs(engine.aws), **belongs, "tags": tags}
    if kind == "Subnet":
        other["cidrBlock"] = "10.1.3.0/24"
    if kind == "VpcEndpoint":
        other |= {"routeTableIds": [], "serviceName": "com.amazonaws.us-west-2.dynamodb"}
    if kind in {"InternetGateway", "RouteTable"}:
        other = {name: value for name, value in other.items() if name not in {"routes"}}
    if kind == "InternetGateway":
        other["vpcId"] = vpc_of(engine.aws)
    engine.create_from(case, other)
    assert found_id(emulated_session, case.token, {**made.inputs, "tags": tags}) is None


@pytest.mark.parametrize("kind", [case.kind for case in CASES if case.behind])
def test_change_behind_its_back_shows_in_the_next_read(kind: str, engine: Engine) -> None:
    case = BY_KIND[kind]
    made = engine.create(case)
    assert case.behind
    case.behind(engine.aws, made.id)
    found = engine.read(case, made)
    assert found is not None
    assert found.inputs == made.inputs | case.drifts
    assert set(engine.diff(case, found.inputs, made.inputs).diffs) == case.drifts.keys()


@EVERY_KIND
def test_check_names_a_property_that_does_not_exist(kind: str, engine: Engine) -> None:
    case = BY_KIND[kind]
    inputs = engine.sample(case)
    reasons = engine.failures(case.token, {**inputs, "colour": "red"})
    assert reasons == {"colour": "`colour` is no property of this resource"}


@EVERY_KIND
def test_check_names_a_property_that_is_missing(kind: str, engine: Engine) -> None:
    case, resource = BY_KIND[kind], KINDS[BY_KIND[kind].token]
    inputs = engine.sample(case)
    for name in (*schema()[case.token]["required"], *resource.invented):
        reasons = engine.failures(case.token, {key: value for key, value in inputs.items() if key != name})
        assert name in reasons, name


@EVERY_KIND
def test_check_names_a_property_of_another_type(kind: str, engine: Engine) -> None:
    case = BY_KIND[kind]
    inputs = engine.sample(case)
    for name, shape in schema()[case.token]["properties"].items():
        if name in inputs:
            wrong: Any = 3 if shape == "string" else "three"
            assert name in engine.failures(case.token, {**inputs, name: wrong})


@EVERY_KIND
def test_check_refuses_what_it_would_lose(kind: str, engine: Engine) -> None:
    case, resource = BY_KIND[kind], KINDS[BY_KIND[kind].token]
    inputs = engine.sample(case)
    applied = {path.partition(".")[0] for path in resource.applied}
    plain = {"string": "other", "boolean": True, "integer": 7}
    for name, shape in schema()[case.token]["properties"].items():
        if name not in applied and isinstance(shape, str):
            assert name in engine.failures(case.token, {**inputs, name: plain[shape]}) or resource.rules, name


@EVERY_KIND
def test_check_takes_what_is_known_only_later(kind: str, engine: Engine) -> None:
    case = BY_KIND[kind]
    assert engine.failures(case.token, dict.fromkeys(engine.sample(case), UNKNOWN)) == {}


@pytest.mark.parametrize(
    ("kind", "change", "blamed"),
    [
        ("Queue", {"visibilityTimeoutSeconds": 43_201}, "visibilityTimeoutSeconds"),
        ("Queue", {"messageRetentionSeconds": 59}, "messageRetentionSeconds"),
        ("Queue", {"redrivePolicy": "3"}, "redrivePolicy"),
        ("Queue", {"kmsMasterKeyId": "alias/aws/sqs"}, "kmsMasterKeyId"),
        ("Queue", {"name": "in gest"}, "name"),
        ("Table", {"attributes": [{"name": "other", "type": "S"}]}, "attributes"),
        ("Table", {"attributes": [{"name": "id", "type": "X"}, {"name": "at", "type": "N"}]}, "attributes.type"),
        ("Table", {"ttl": {"enabled": True}}, "ttl"),
        ("LogGroup", {"retentionInDays": 31}, "retentionInDays"),
        ("Vpc", {"cidrBlock": "10.2.0.1/16"}, "cidrBlock"),
        ("Vpc", {"cidrBlock": "10.0.0.0/8"}, "cidrBlock"),
        ("Subnet", {"cidrBlock": "10.2.0.0/30"}, "cidrBlock"),
        ("VpcEndpoint", {"vpcEndpointType": "Interface"}, "vpcEndpointType"),
        ("SecurityGroup", {"name": "sg-1"}, "name"),
        ("LaunchTemplate", {"metadataOptions": {"httpTokens": "always"}}, "metadataOptions.httpTokens"),
        (
            "LaunchTemplate",
            {"metadataOptions": {"httpPutResponseHopLimit": 0}},
            "metadataOptions.httpPutResponseHopLimit",
        ),
        ("JobDefinition", {"timeout": {"attemptDurationSeconds": 59}}, "timeout.attemptDurationSeconds"),
        ("JobDefinition", {"retryStrategy": {"attempts": 11}}, "retryStrategy.attempts"),
        ("JobQueue", {"priority": 1001}, "priority"),
        (
            "ComputeEnvironment",
            {"computeResources": {"type": "GPU", "maxVcpus": 1, "subnets": ["s"]}},
            "computeResources.type",
        ),
        ("BucketNotification", {"queues": [{"queueArn": "arn"}]}, "queues[0].events"),
        ("BucketNotification", {"topics": [{"topicArn": "arn", "events": ["s3:ObjectCreated:*"]}]}, "topics"),
    ],
)
def test_check_names_a_value_that_aws_would_refuse(kind: str, change: Properties, blamed: str, engine: Engine) -> None:
    case = BY_KIND[kind]
    reasons = engine.failures(case.token, engine.sample(case) | change)
    assert blamed in reasons
    assert all(f"`{name}` " in reason for name, reason in reasons.items())


def test_queue_that_does_not_let_the_bucket_send_is_refused(engine: Engine) -> None:
    case = BY_KIND["BucketNotification"]
    made = engine.create(case)
    arn = made.inputs["queues"][0]["queueArn"]
    url = engine.aws.sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    engine.aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    wanted = {**made.inputs, "queues": [{**made.inputs["queues"][0], "filterPrefix": "other/"}]}
    with pytest.raises(Aborted, match="Unable to validate the following destination"):
        engine.update(case, made, wanted)
