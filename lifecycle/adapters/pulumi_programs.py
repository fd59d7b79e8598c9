"""capctl's releases as the Pulumi programs take them, and back."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId
from lifecycle.domain.digest import Digest, canonical_json
from lifecycle.domain.image import ImageRef
from lifecycle.domain.release import DeployedRelease, Parameters, Release
from lifecycle.ports.stack import BaseOutputs
from pulumi_stack.config import BaseConfig, ReleasesConfig, ReleaseSpec

Program = Callable[[], None]

COMPONENT = "capctl:release:Release"
# Four resources make a release; one that lacks any of them is not there.
_PARTS = {
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:batch/computeEnvironment:ComputeEnvironment",
    "aws:batch/jobQueue:JobQueue",
    "aws:batch/jobDefinition:JobDefinition",
}


def base_program(target: Target) -> Program:
    """The base stack of a target."""
    config = BaseConfig(
        project=target.project,
        bucket=target.bucket,
        repository=target.repository_name,
        table=target.table,
        log_group=target.log_group,
    )

    def program() -> None:
        # Pulumi's AWS library takes half a second to import; reading what exists does without it.
        from pulumi_stack.base import base

        base(config)

    return program


def releases_program(target: Target, outputs: BaseOutputs, wanted: tuple[Release, ...]) -> Program:
    """The releases that shall exist."""
    config = ReleasesConfig(
        project=target.project,
        region=target.region,
        log_group=outputs.log_group,
        job_role_arn=outputs.job_role_arn,
        execution_role_arn=outputs.execution_role_arn,
        instance_profile_arn=outputs.instance_profile_arn,
    )
    specs = [_spec(release) for release in wanted]

    def program() -> None:
        from pulumi_stack.releases import releases

        releases(config, specs)

    return program


def _spec(release: Release) -> ReleaseSpec:
    parameters = release.parameters
    return ReleaseSpec(
        id=release.id,
        record=canonical_json(asdict(release)).decode(),
        ami_id=release.ami_id,
        model_set=release.model_set,
        image=str(release.image),
        **{name: getattr(parameters, name) for name in Parameters.__slots__},
    )


def release_of(record: str) -> Release:
    """The release that was recorded beside its resources."""
    fields = json.loads(record)
    sequences = {"instance_types", "subnet_ids", "security_group_ids"}
    parameters: dict[str, Any] = {k: tuple(v) if k in sequences else v for k, v in fields["parameters"].items()}
    return Release(
        ami_id=AmiId(fields["ami_id"]),
        image=ImageRef(repository=fields["image"]["repository"], digest=Digest(fields["image"]["digest"])),
        model_set=Digest(fields["model_set"]),
        parameters=Parameters(**parameters),
    )


def deployed_releases(deployment: dict[str, Any]) -> tuple[DeployedRelease, ...]:
    """The releases of a state of which all four resources exist, oldest first."""
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    found: list[tuple[str, DeployedRelease]] = []
    for component in (resource for resource in resources if resource["type"] == COMPONENT):
        parts = {r["type"]: r for r in resources if r.get("parent") == component["urn"] and not r.get("delete")}
        if not parts.keys() >= _PARTS or any(part.get("initErrors") for part in parts.values()):
            continue
        arns = {kind.rpartition(":")[2]: part["outputs"].get("arn", "") for kind, part in parts.items()}
        release = DeployedRelease(
            release=release_of(component["inputs"]["record"]),
            compute_environment_arn=arns["ComputeEnvironment"],
            job_queue_arn=arns["JobQueue"],
            job_definition_arn=arns["JobDefinition"],
        )
        found.append((parts["aws:batch/jobQueue:JobQueue"].get("created", ""), release))
    return tuple(release for _, release in sorted(found, key=lambda pair: pair[0]))


def base_outputs(deployment: dict[str, Any]) -> BaseOutputs | None:
    """The outputs of the base stack, None when it was never finished."""
    stack = next((r for r in deployment.get("resources") or () if r["type"] == "pulumi:pulumi:Stack"), None)
    outputs = (stack or {}).get("outputs") or {}
    names = BaseOutputs.__slots__
    return BaseOutputs(**{name: outputs[name] for name in names}) if all(outputs.get(name) for name in names) else None
