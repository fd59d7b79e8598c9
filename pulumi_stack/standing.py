"""Releases that exist, as the state holds them."""

from typing import Any

from pulumi_stack.config import StandingRelease, StandingResource

COMPONENT = "capctl:release:Release"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ENVIRONMENT = "aws:batch/computeEnvironment:ComputeEnvironment"
QUEUE = "aws:batch/jobQueue:JobQueue"
DEFINITION = "aws:batch/jobDefinition:JobDefinition"

# A release that lacks one of these is half made. What only later releases have must never be asked for here: the earlier
# ones would count as half made, and what is half made and nobody needs is deleted.
_PARTS = {TEMPLATE, ENVIRONMENT, QUEUE, DEFINITION}

_State = dict[str, Any]


def standing_releases(deployment: _State) -> tuple[StandingRelease, ...]:
    """The complete releases of a state, as `pulumi stack export` gives it below `deployment`, oldest first."""
    return tuple(release for release in releases_in(deployment) if release.is_complete)


def releases_in(deployment: _State) -> tuple[StandingRelease, ...]:
    """The releases of a state of which anything exists, the half-made ones with the parts that do, oldest first.

    Every resource of a release lies right below its component: one below another component would not be found.
    """
    resources: list[_State] = deployment.get("resources") or []
    versions = {
        f"{resource['urn']}::{resource['id']}": (resource.get("inputs") or {}).get("version")
        for resource in resources
        if resource["type"].startswith("pulumi:providers:")
    }
    found: list[StandingRelease] = []
    for component in (resource for resource in resources if resource["type"] == COMPONENT):
        parts = [r for r in resources if r.get("parent") == component["urn"] and not r.get("delete")]
        release = StandingRelease(
            id=_name(component),
            created=max((part.get("created", "") for part in parts), default=""),
            is_complete={part["type"] for part in parts} >= _PARTS
            and not any(part.get("initErrors") for part in parts),
            inputs=component.get("inputs") or {},
            outputs=component.get("outputs") or {},
            resources=tuple(_resource(part, versions) for part in parts),
        )
        found.append(release)
    return tuple(sorted(found, key=lambda release: release.created))


def _resource(part: _State, versions: dict[str, str | None]) -> StandingResource:
    return StandingResource(
        urn=part["urn"],
        type=part["type"],
        name=_name(part),
        arn=(part.get("outputs") or {}).get("arn", ""),
        inputs=part.get("inputs") or {},
        depends_on=tuple(part.get("dependencies") or ()),
        plugin_version=versions.get(part.get("provider", "")),
    )


def _name(resource: _State) -> str:
    return str(resource["urn"]).rpartition("::")[2]
