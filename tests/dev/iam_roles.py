"""The roles that docs/iam.md has policies for, and what each policy of theirs is about."""

from collections.abc import Callable, Mapping
from typing import Any

from lifecycle.domain.layout import Folder
from lifecycle.domain.permissions import READ_DEAD_LETTERS, READ_GRANTS
from lifecycle.workflows.ami_uses import READ_PROJECT_USES, READ_USES
from tests.dev.iam import asked_actions, command_actions, is_read
from tests.dev.iam_names import Scope, on_objects
from tests.dev.iam_policy import policy

# What the pipelines of `examples/ci` call with the role that releases, and with the one that only looks.
RELEASES = ("image base", "release", "rollback", "status")
LOOKS = ("release --dry-run", "image build", "drift")
# Who else uses an AMI is asked only about one that a killed bake left unproven. Who may not ask leaves it, and plans to bake beside it.
_OF_WHAT_IS_LEFT = frozenset({*READ_USES, *READ_GRANTS}) - {*READ_PROJECT_USES}
# The folders of the bucket that the two have to do with: neither sees a video or a result, and neither writes a model.
_RELEASES_OBJECTS: Mapping[str, tuple[Scope, ...]] = {
    "s3:GetObject": on_objects(Folder.BOOTS, Folder.EVIDENCE, Folder.MODELS, Folder.SAMPLES, Folder.SMOKE),
    "s3:PutObject": on_objects(Folder.BOOTS, Folder.EVIDENCE, Folder.SAMPLES, Folder.SMOKE),
}
_LOOKS_OBJECTS: Mapping[str, tuple[Scope, ...]] = {
    "s3:GetObject": on_objects(Folder.EVIDENCE, Folder.MODELS, Folder.SAMPLES)
}

Policies = dict[str, dict[str, Any]]
_SERVICES = {"ec2": {"autoscaling", "ec2"}, "releases": {"batch", "dynamodb", "ecs", "iam", "logs", "sqs"}}


def everybody() -> Policies:
    """By topic, for all commands: EC2, what releases are made of, data, and last what nothing but `capctl bootstrap` needs."""
    commands = command_actions()
    others = frozenset[str]().union(*(actions for name, actions in commands.items() if name != "bootstrap"))
    base = commands["bootstrap"] - others
    return {**_by_topic(others), "base": policy(base)}


def releases() -> Policies:
    """By topic, for the role that releases."""
    commands = command_actions()
    return _by_topic(frozenset[str]().union(*(commands[name] for name in RELEASES)), narrowed=_RELEASES_OBJECTS)


def looks_actions() -> frozenset[str]:
    """What the plans of `capctl release` read, and all that a build and `capctl drift` do; dead letters are counted by who carries out."""
    commands = command_actions()
    planned = frozenset(action for action in asked_actions()["release"] if is_read(action))
    return (planned - _OF_WHAT_IS_LEFT - {*READ_DEAD_LETTERS}) | commands["image build"] | commands["drift"]


def looks() -> dict[str, Any]:
    """For the role that only looks."""
    return policy(looks_actions(), narrowed=_LOOKS_OBJECTS)


def _by_topic(actions: frozenset[str], **more: Any) -> Policies:
    def of(is_about: Callable[[str], bool]) -> dict[str, Any]:
        return policy([action for action in actions if is_about(action.partition(":")[0])], **more)

    named = {name: of(services.__contains__) for name, services in _SERVICES.items()}
    return {**named, "data": of(lambda service: not any(service in services for services in _SERVICES.values()))}
