"""The policies of docs/iam.md: they allow what the commands need on the project's own, and nothing else."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.pulumi_programs import base_program, release_spec
from lifecycle.domain.layout import Folder
from pulumi_stack.releases import releases as releases_program
from tests.dev import iam_roles
from tests.dev.iam import command_actions, is_read
from tests.dev.iam_judge import Asked, allows, filled_in, listed, matches
from tests.dev.iam_names import Scope
from tests.dev.iam_page import STATE_KEY, iam_page, policy_files
from tests.dev.iam_policy import INLINE_LIMIT, MANAGED_LIMIT, kind_of, policy, size
from tests.dev.iam_scopes import EVERYWHERE, OF_THE_ACCOUNT, SCOPES, WITHOUT_RESOURCE
from tests.fakes.releases import make_release
from tests.fakes.targets import make_target
from tests.unit.pulumi_stack.recorded import Resource, record
from tests.unit.pulumi_stack.test_releases import CONFIG

# Importing the provider's s3 module defines its deprecated resources too.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ACTIONS = frozenset[str]().union(*command_actions().values())
DOCUMENTS: Mapping[str, dict[str, Any]] = {
    **{f"everybody {name}": document for name, document in iam_roles.everybody().items()},
    **{f"releases {name}": document for name, document in iam_roles.releases().items()},
    "looks": iam_roles.looks(),
}
ACCOUNT, REGION = "123456789012", "us-west-2"


def statements(*documents: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for document in documents:
        yield from document["Statement"]


def actions(*documents: dict[str, Any]) -> list[str]:
    """With every repetition in another document."""
    return [action for one in documents for action in {a for each in statements(one) for a in each["Action"]}]


def test_every_action_has_a_scope_or_stands_among_those_of_everything() -> None:
    assert sorted(ACTIONS - SCOPES.keys() - EVERYWHERE) == []


def test_no_scope_is_of_an_action_that_no_command_needs() -> None:
    assert sorted((SCOPES.keys() | EVERYWHERE) - ACTIONS) == []


def test_what_stands_among_those_of_everything_has_no_scope_and_changes_nothing() -> None:
    assert not SCOPES.keys() & EVERYWHERE
    assert not WITHOUT_RESOURCE & OF_THE_ACCOUNT
    assert all(is_read(action) or action == "ecr:GetAuthorizationToken" for action in EVERYWHERE)


def test_action_without_a_scope_makes_no_policy() -> None:
    with pytest.raises(KeyError, match="ec2:RebootInstances"):
        policy(["ec2:RebootInstances"])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_everything_is_open_to_the_listed_reads_only(name: str) -> None:
    for statement in statements(DOCUMENTS[name]):
        resources = listed(statement["Resource"])
        if "*" in resources:
            assert resources == ["*"]
            assert set(statement["Action"]) <= EVERYWHERE
        else:
            assert not set(statement["Action"]) & EVERYWHERE
            assert all(re.match(r"arn:aws:[a-z0-9]+:(REGION)?:(ACCOUNT|aws)?:[A-Za-z/]", one) for one in resources)


def test_the_role_for_all_commands_has_every_action_once() -> None:
    """But for the tags, which go with what is made."""
    found = sorted(actions(*iam_roles.everybody().values()))
    found.remove("ec2:CreateTags")
    assert found == sorted(ACTIONS)


def test_the_role_that_releases_has_the_actions_of_its_commands_once() -> None:
    commands = command_actions()
    wanted = frozenset[str]().union(*(commands[name] for name in iam_roles.RELEASES))
    assert sorted(actions(*iam_roles.releases().values())) == sorted(wanted)


def test_the_role_that_looks_changes_nothing_and_reads_no_video_and_no_result() -> None:
    document = iam_roles.looks()
    assert all(is_read(action) for action in actions(document))
    closed = {Folder.VIDEOS, Folder.RESULTS, Folder.THUMBNAILS, Folder.SMOKE, Folder.BOOTS}
    for folder in Folder:
        read = Asked(action="s3:GetObject", resource=f"arn:aws:s3:::PROJECT-capctl-ACCOUNT-REGION/{folder}/x")
        assert allows([document], read) is (folder not in closed)
    assert not {"ssm:GetParameters", "logs:GetLogEvents", "sqs:GetQueueAttributes"} & set(actions(document))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_merged_statements_allow_what_the_scopes_do(name: str) -> None:
    """Each action on each ARN of a kind that it knows: under the same conditions or not at all."""
    every = policy(actions(DOCUMENTS[name]))
    alone = {action: list(statements(policy([action]))) for action in actions(DOCUMENTS[name])}
    for statement in statements(every):
        for action in set(statement["Action"]) - EVERYWHERE - {"ec2:CreateTags"}:
            known = {kind_of(one) for scope in SCOPES[action] for one in scope.resources}
            for resource in (one for one in listed(statement["Resource"]) if kind_of(one) in known):
                assert any(
                    resource in listed(own["Resource"]) and own.get("Condition") == statement.get("Condition")
                    for own in alone[action]
                ), (action, resource)
    for action, own in alone.items():
        for one in own if action != "ec2:CreateTags" else ():
            if action not in one["Action"]:
                assert one["Action"] == ["ec2:CreateTags"]
                continue
            assert any(
                action in statement["Action"]
                and set(listed(one["Resource"])) <= set(listed(statement["Resource"]))
                and one.get("Condition") == statement.get("Condition")
                for statement in statements(every)
            ), action


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize(("partition", "region"), [("aws", "ap-southeast-2"), ("aws-us-gov", "us-gov-west-1")])
def test_policy_with_the_longest_names_is_short_enough_for_iam(name: str, partition: str, region: str) -> None:
    longest = filled_in(DOCUMENTS[name], project="p" * 30, account=ACCOUNT, region=region)
    assert size(json.loads(json.dumps(longest).replace("arn:aws:", f"arn:{partition}:"))) <= MANAGED_LIMIT
    assert MANAGED_LIMIT < INLINE_LIMIT


@pytest.mark.parametrize(
    ("documents", "needed"),
    [
        (iam_roles.everybody(), {"kms:Decrypt", "kms:Encrypt"}),
        (iam_roles.releases(), {"kms:Decrypt", "kms:Encrypt"}),
        ({"looks": iam_roles.looks()}, {"kms:Decrypt"}),
    ],
)
def test_the_key_of_the_state_is_opened_by_the_statement_of_the_page_alone_and_there_is_room_for_it(
    documents: dict[str, dict[str, Any]], needed: set[str]
) -> None:
    statement = {**STATE_KEY, "Action": [action for action in STATE_KEY["Action"] if action in needed]}
    key = STATE_KEY["Resource"].replace("KEY", "12345678-90ab-cdef-1234-567890abcdef")
    # Of a call that came past every other service IAM knows that.
    asked = [Asked(action=one, resource=key, context={"kms:ViaService": ""}) for one in needed]
    assert not any(allows(documents.values(), one) for one in asked)
    topic = "data" if "data" in documents else "looks"
    added = {**documents[topic], "Statement": [*documents[topic]["Statement"], {**statement, "Resource": key}]}
    assert all(allows([added], one) for one in asked)
    longest = filled_in(added, project="p" * 30, account=ACCOUNT, region="ap-southeast-2")
    assert size(longest) <= MANAGED_LIMIT
    assert json.dumps(STATE_KEY) in iam_page("")


def test_each_policy_is_a_file_that_the_page_names() -> None:
    files = policy_files()
    assert [json.loads(shown) for shown in files.values()] == list(DOCUMENTS.values())
    page = iam_page("")
    assert all(f"(../{path})" in page for path in files)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_policy_is_whole_once_its_names_are_filled_in(name: str) -> None:
    filled = json.dumps(filled_in(DOCUMENTS[name], project="vision", account=ACCOUNT, region=REGION))
    assert not re.search(r"PROJECT|ACCOUNT|REGION", filled)


def test_roles_are_passed_to_what_they_are_for() -> None:
    documents = iam_roles.everybody().values()
    service = {"bake": "ec2", "instance": "ec2", "job": "ecs-tasks", "execution": "ecs-tasks"}
    for role, right in service.items():
        for other in ("ec2", "ecs-tasks", "lambda"):
            asked = Asked(
                action="iam:PassRole",
                resource=f"arn:aws:iam::ACCOUNT:role/PROJECT-{role}",
                context={"iam:PassedToService": f"{other}.amazonaws.com"},
            )
            assert allows(documents, asked) is (other == right)
    for foreign in ("admin", "PROJECT", "PROJECT-ci-releases", "PROJECT-two-job"):
        assert not allows(documents, Asked(action="iam:PassRole", resource=f"arn:aws:iam::ACCOUNT:role/{foreign}"))


def test_services_get_only_the_roles_that_batch_needs() -> None:
    for service, name in (("batch", "AWSServiceRoleForBatch"), ("spot", "AWSServiceRoleForEC2Spot")):
        role = f"arn:aws:iam::ACCOUNT:role/aws-service-role/{service}.amazonaws.com/{name}"
        for other in ("batch", "spot", "ecs"):
            context = {"iam:AWSServiceName": f"{other}.amazonaws.com"}
            asked = Asked(action="iam:CreateServiceLinkedRole", resource=role, context=context)
            assert allows(iam_roles.everybody().values(), asked) is (other == service)


def test_what_has_no_name_is_bound_by_its_tag() -> None:
    """Of EC2 an ARN tells only the name of a key pair; the network and the base AMI of an instance may be anybody's."""
    whose = {"ec2:CreateSecurityGroup": {"ec2:vpc"}, "ec2:RunInstances": {"ec2:image", "ec2:network-interface"}}
    whose["ec2:RunInstances"] |= {"ec2:key-pair", "ec2:security-group", "ec2:snapshot", "ec2:subnet"}
    for action in (one for one in ACTIONS if one.startswith("ec2:") and not is_read(one)):
        free = {kind_of(one) for scope in SCOPES[action] if not scope.when for one in scope.resources}
        assert free == whose.get(action, {"ec2:key-pair"} if action.endswith("KeyPair") else set()), action


def test_nobody_puts_the_project_on_what_is_not_its_own() -> None:
    documents = iam_roles.everybody().values()
    tag, wanted = "aws:ResourceTag/capctl:project", "aws:RequestTag/capctl:project"
    image = "arn:aws:ec2:REGION::image/ami-1"

    def may(**context: str) -> bool:
        names = {"tag": tag, "wanted": wanted, "call": "ec2:CreateAction"}
        known = {names[name]: value for name, value in context.items()}
        return allows(documents, Asked(action="ec2:CreateTags", resource=image, context=known))

    assert may(tag="PROJECT", wanted="", call="")
    assert may(tag="PROJECT", wanted="PROJECT", call="")
    assert may(tag="", wanted="PROJECT", call="CreateImage")
    assert not may(tag="", wanted="PROJECT", call="")
    assert not may(tag="other", wanted="PROJECT", call="")
    assert not may(tag="PROJECT", wanted="other", call="")
    assert not may(tag="", wanted="", call="CreateImage")


def test_calls_that_a_role_lacks_tag_nothing() -> None:
    (made,) = (
        statement["Condition"]["StringEquals"]["ec2:CreateAction"]
        for statement in statements(iam_roles.releases()["ec2"])
        if "ec2:CreateAction" in statement.get("Condition", {}).get("StringEquals", {})
    )
    assert made == ["CreateImage", "CreateKeyPair", "CreateLaunchTemplate", "CreateSecurityGroup", "RunInstances"]


def test_scopes_of_another_project_are_out_of_reach() -> None:
    """Also of one whose name begins with this one's."""
    documents = [
        filled_in(one, project="vision", account=ACCOUNT, region=REGION) for one in iam_roles.everybody().values()
    ]
    for name in ("vision-two-0123456789ab", "vision-0123456789abc", "other-0123456789ab"):
        queue = f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/{name}"
        assert not allows(documents, Asked(action="batch:DeleteJobQueue", resource=queue))
    assert allows(
        documents,
        Asked(
            action="batch:DeleteJobQueue", resource=f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/vision-0123456789ab"
        ),
    )


TARGET = make_target(
    Path(),
    network={"create": True, "zones": ("a", "b")},
    release={"database_secret_arn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:database-a1b2c3"},
)


def declared() -> list[Resource]:
    """All that the programs register for a target, but what no action makes: the stack and components."""
    spec = release_spec(make_release())
    programs = (base_program(TARGET), lambda: releases_program(CONFIG, (), [spec]))
    found = [resource for program in programs for resource in record(program).resources]
    return [resource for resource in found if resource.type.startswith("aws:")]


def regional(service: str, kind: str, key: str = "name") -> Callable[[dict[str, Any]], str]:
    return lambda inputs: f"arn:aws:{service}:{REGION}:{ACCOUNT}:{kind}{inputs[key]}"


def of_iam(kind: str, key: str = "name") -> Callable[[dict[str, Any]], str]:
    return lambda inputs: f"arn:aws:iam::{ACCOUNT}:{kind}/{inputs[key]}"


def of_bucket(_: dict[str, Any]) -> str:
    return f"arn:aws:s3:::{TARGET.bucket}"


def nameless(kind: str) -> Callable[[dict[str, Any]], str]:
    return lambda _: f"arn:aws:ec2:{REGION}:{ACCOUNT}:{kind}/any-1"


# By the kind of a resource: what makes it, and its ARN.
MADE: Mapping[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "Bucket": ("s3:CreateBucket", lambda inputs: f"arn:aws:s3:::{inputs['bucket']}"),
    "BucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration", of_bucket),
    "BucketNotification": ("s3:PutBucketNotification", of_bucket),
    "BucketPublicAccessBlock": ("s3:PutBucketPublicAccessBlock", of_bucket),
    "BucketServerSideEncryptionConfiguration": ("s3:PutEncryptionConfiguration", of_bucket),
    "BucketVersioning": ("s3:PutBucketVersioning", of_bucket),
    "ComputeEnvironment": ("batch:CreateComputeEnvironment", regional("batch", "compute-environment/")),
    "InstanceProfile": ("iam:CreateInstanceProfile", of_iam("instance-profile")),
    "InternetGateway": ("ec2:CreateInternetGateway", nameless("internet-gateway")),
    "JobDefinition": ("batch:RegisterJobDefinition", regional("batch", "job-definition/")),
    "JobQueue": ("batch:CreateJobQueue", regional("batch", "job-queue/")),
    "LaunchTemplate": ("ec2:CreateLaunchTemplate", nameless("launch-template")),
    "LifecyclePolicy": ("ecr:PutLifecyclePolicy", regional("ecr", "repository/", "repository")),
    "LogGroup": ("logs:CreateLogGroup", lambda inputs: f"{regional('logs', 'log-group:')(inputs)}:*"),
    "Queue": ("sqs:CreateQueue", regional("sqs", "")),
    "Repository": ("ecr:CreateRepository", regional("ecr", "repository/")),
    "Role": ("iam:CreateRole", of_iam("role")),
    "RolePolicy": ("iam:PutRolePolicy", of_iam("role", "role")),
    "RolePolicyAttachment": ("iam:AttachRolePolicy", of_iam("role", "role")),
    "RouteTable": ("ec2:CreateRouteTable", nameless("route-table")),
    "RouteTableAssociation": ("ec2:AssociateRouteTable", nameless("route-table")),
    "SecurityGroup": ("ec2:CreateSecurityGroup", nameless("security-group")),
    "Subnet": ("ec2:CreateSubnet", nameless("subnet")),
    "Table": ("dynamodb:CreateTable", regional("dynamodb", "table/")),
    "Vpc": ("ec2:CreateVpc", nameless("vpc")),
    "VpcEndpoint": ("ec2:CreateVpcEndpoint", nameless("vpc-endpoint")),
}


def test_whatever_the_programs_declare_may_be_made_under_its_name_and_tags() -> None:
    documents = [
        filled_in(one, project=TARGET.project, account=ACCOUNT, region=REGION) for one in iam_roles.everybody().values()
    ]
    kinds = set()
    for resource in declared():
        kind = resource.type.rpartition(":")[2]
        action, arn = MADE[kind]
        tags = resource.inputs.get("tags") or {}
        context = {"aws:RequestTag/capctl:project": tags.get("capctl:project", "")} if tags else {}
        if action.startswith("ec2:Create"):
            context["aws:ResourceTag/capctl:project"] = ""
        if kind == "RolePolicyAttachment":
            context["iam:PolicyARN"] = resource.inputs["policyArn"]
        assert allows(documents, Asked(action=action, resource=arn(resource.inputs), context=context)), resource
        if action.startswith("ec2:") and tags:
            context["ec2:CreateAction"] = action.removeprefix("ec2:")
            assert allows(documents, Asked(action="ec2:CreateTags", resource=arn(resource.inputs), context=context)), (
                resource
            )
        kinds.add(kind)
    assert kinds == MADE.keys()


def test_scope_of_names_has_nothing_that_the_programs_do_not_make() -> None:
    """An ARN with a name, of a kind that the programs declare, fits one of their resources."""
    made = {arn(resource.inputs) for resource in declared() for _, arn in [MADE[resource.type.rpartition(":")[2]]]}
    made |= {f"{one}:1" for one in made if ":job-definition/" in one} | {one.removesuffix(":*") for one in made}
    made.add(f"arn:aws:s3:::{TARGET.project}-capctl-state-{ACCOUNT}-{REGION}")
    kinds = {kind_of(one) for one in made}

    def named(scope: Scope) -> Iterator[str]:
        filled = filled_in({"Resource": list(scope.resources)}, project=TARGET.project, account=ACCOUNT, region=REGION)
        yield from (one for one in filled["Resource"] if TARGET.project in one and kind_of(one) in kinds)

    patterns = {one for scopes in SCOPES.values() for scope in scopes for one in named(scope)}
    unmade = [one for one in patterns if not any(matches(one, arn) for arn in made)]
    # The streams of the group of logs are made by the jobs.
    assert unmade == [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{TARGET.log_group}:log-stream:*"]
