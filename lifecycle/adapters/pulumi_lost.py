"""What an update did whose answer was lost while the CLI lived on: Pulumi records nothing of a creation then, and goes on to list what it
deleted. What AWS has tells."""

from collections.abc import Collection
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import is_missing, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.compute import name_of
from lifecycle.domain.tags import Tag
from pulumi_stack.standing import COMPONENT, DEFINITION, ENVIRONMENT, QUEUE, TEMPLATE

_State = dict[str, Any]
# What a part is made from, so that it goes first; in the order in which they are made.
_MADE_FROM = {TEMPLATE: (), DEFINITION: (), ENVIRONMENT: (TEMPLATE,), QUEUE: (ENVIRONMENT,)}


class _Found(NamedTuple):
    """What AWS has under a name: the id as Pulumi's state has it, its tags, and whether it stays."""

    id: str
    tags: dict[str, str]
    stays: bool = True


def reconciled(state: _State, session: AwsSession, project: str, release_ids: Collection[str]) -> _State:
    """The state with what AWS has of these releases, and without what it has not; `state` itself where both agree.

    What is added carries the release's tags, and nothing but its id is told of it: the update that follows must refresh. Raises
    `CapctlError` when AWS cannot be asked.
    """
    resources: list[_State] = list(state.get("resources") or ())
    for component in [one for one in resources if one["type"] == COMPONENT and _name(one) in release_ids]:
        found = _existing(session, name_of(_name(component), project))
        own = {Tag.PROJECT.value: project, Tag.RELEASE.value: _name(component)}
        listed = {
            one["type"]: one for one in resources if one.get("parent") == component["urn"] and not one.get("delete")
        }
        for kind, stale in listed.items():
            if kind in found and found[kind] is None and not _is_needed(stale, resources):
                resources.remove(stale)
        for kind, made_from in _MADE_FROM.items():
            part = found[kind]
            provider = _provider(resources)
            if kind in listed or not part or not part.stays or not own.items() <= part.tags.items() or not provider:
                continue
            urns = [_urn(component, other, project) for other in made_from]
            known = {one["urn"] for one in resources}
            resources.append(
                {
                    "urn": _urn(component, kind, project),
                    "custom": True,
                    "id": part.id,
                    "type": kind,
                    "inputs": {},
                    "outputs": {},
                    "parent": component["urn"],
                    "dependencies": [urn for urn in urns if urn in known],
                    "provider": provider,
                }
            )
    return state if resources == (state.get("resources") or []) else {**state, "resources": resources}


def _existing(session: AwsSession, name: str) -> dict[str, _Found | None]:
    """What AWS has of that name, by type; None where it has nothing."""
    batch = session.client("batch")
    with translated(f"looking for what there is of release `{name}`"):
        environments = batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
        queues = batch.describe_job_queues(jobQueues=[name])["jobQueues"]
        definitions = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
        definitions.sort(key=lambda definition: definition["revision"])
        return {
            TEMPLATE: _template(session, name),
            DEFINITION: _of_batch(definitions[-1:], "jobDefinitionArn"),
            ENVIRONMENT: _of_batch(environments, "computeEnvironmentName"),
            QUEUE: _of_batch(queues, "jobQueueArn"),
        }


def _template(session: AwsSession, name: str) -> _Found | None:
    try:
        templates = session.client("ec2").describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return next(
        (
            _Found(one["LaunchTemplateId"], {tag["Key"]: tag["Value"] for tag in one.get("Tags") or ()})
            for one in templates
        ),
        None,
    )


def _of_batch(listed: list[_State], id_key: str) -> _Found | None:
    there = (one for one in listed if one.get("status") != "DELETED")
    return next((_Found(one[id_key], one.get("tags") or {}, one.get("status") != "DELETING") for one in there), None)


def _is_needed(part: _State, resources: list[_State]) -> bool:
    return any(part["urn"] in (one.get("dependencies") or ()) for one in resources)


def _provider(resources: list[_State]) -> str:
    """The one that made the last part of anything, else the last one that there is; "" where nothing was made at all."""
    used = [one["provider"] for one in resources if one["type"] in _MADE_FROM and one.get("provider")]
    there = [f"{one['urn']}::{one['id']}" for one in resources if one["type"] == "pulumi:providers:aws"]
    return next(reversed([*there, *used]), "")


def _urn(component: _State, kind: str, project: str) -> str:
    above = str(component["urn"]).rpartition("::")[0]
    return f"{above}${kind}::{name_of(_name(component), project)}"


def _name(resource: _State) -> str:
    return str(resource["urn"]).rpartition("::")[2]
