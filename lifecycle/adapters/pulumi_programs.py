"""capctl's releases as the Pulumi programs take them, and what their states say."""

import json
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId
from lifecycle.domain.digest import Digest, canonical_json
from lifecycle.domain.image import ImageRef
from lifecycle.domain.partition import partition_of
from lifecycle.domain.recorded import RecordedRelease, StackRecord
from lifecycle.domain.release import DeployedRelease, Release
from lifecycle.ports.stack import BaseOutputs
from pulumi_stack.config import BaseConfig, NetworkConfig, ReleasesConfig, ReleaseSpec, StandingRelease
from pulumi_stack.standing import DEFINITION, ENVIRONMENT, QUEUE, releases_in, standing_releases

Program = Callable[[], None]

RECORD_SCHEMA = "capctl.release/1"


def base_program(target: Target) -> Program:
    """The base stack of a target."""
    registry, partition = target.settings.image.registry, partition_of(target.region)
    network = target.settings.network
    config = BaseConfig(
        project=target.project,
        account=target.account,
        region=target.region,
        bucket=target.bucket,
        repository=target.repository_name,
        table=target.table,
        tasks_table=target.tasks_table,
        log_group=target.log_group,
        partition=partition.name,
        domain=partition.domain,
        movable_tags=registry.movable_tags,
        scan_on_push=registry.scan_on_push,
        image_kms_key_arn=registry.kms_key_arn,
        image_lifecycle=target.lifecycle_policy.text(),
        database_secret_arn=target.settings.release.database_secret_arn,
        network=NetworkConfig(cidr=network.cidr, zones=network.zones) if network.create else None,
    )

    def program() -> None:
        # Pulumi's AWS library takes half a second to import; reading what exists does without it.
        from pulumi_stack.base import base

        base(config)

    return program


def releases_program(
    target: Target, outputs: BaseOutputs, *, standing: tuple[StandingRelease, ...], new: tuple[Release, ...] = ()
) -> Program:
    """The releases that shall exist: those that stand, untouched, and the new ones."""
    config = ReleasesConfig(
        project=target.project,
        region=target.region,
        log_group=outputs.log_group,
        job_role_arn=outputs.job_role_arn,
        execution_role_arn=outputs.execution_role_arn,
        instance_profile_arn=outputs.instance_profile_arn,
    )
    specs = [release_spec(release) for release in new]

    def program() -> None:
        from pulumi_stack.releases import releases

        releases(config, standing, specs)

    return program


def release_spec(release: Release) -> ReleaseSpec:
    """A release as the program makes it, with a record of what it was made from."""
    parameters = release.parameters
    return ReleaseSpec(
        id=release.id,
        record=canonical_json({"schema": RECORD_SCHEMA, **release.record}).decode(),
        ami_id=release.ami_id,
        model_set=release.model_set,
        image=str(release.image),
        instance_types=parameters.instance_types,
        max_vcpus=parameters.max_vcpus,
        spot=parameters.spot,
        subnet_ids=parameters.subnet_ids,
        security_group_ids=parameters.security_group_ids,
        volume_gib=parameters.volume_gib,
        vcpus=parameters.vcpus,
        memory_mib=parameters.memory_mib,
        gpus=parameters.gpus,
        timeout_s=parameters.timeout_s,
        attempts=parameters.attempts,
        environment=parameters.environment,
        database_secret_arn=parameters.database_secret_arn,
        runtime_mount=release.runtime_mount,
    )


def deployed_releases(deployment: dict[str, Any]) -> tuple[DeployedRelease, ...]:
    """The releases of a state of which every resource exists, oldest first."""
    return tuple(_deployed(release) for release in standing_releases(deployment))


def half_made(deployment: dict[str, Any]) -> frozenset[str]:
    """Ids of the releases of a state of which a part is missing or never came to life."""
    return frozenset(release.id for release in releases_in(deployment) if not release.is_complete)


def stack_record(deployment: dict[str, Any]) -> StackRecord:
    """Everything that a state says of releases."""
    return StackRecord(
        releases=tuple(_recorded(release) for release in standing_releases(deployment)), half_made=half_made(deployment)
    )


def _recorded(release: StandingRelease) -> RecordedRelease:
    inputs = next(resource.inputs for resource in release.resources if resource.type == ENVIRONMENT)
    given = inputs.get("computeResources") or {}
    template = given.get("launchTemplate") or {}
    # A refresh of the stack takes up what somebody changed; the record stays.
    most = (_record(release).get("parameters") or {}).get("max_vcpus", given.get("maxVcpus"))
    return RecordedRelease(
        deployed=_deployed(release),
        created=release.created,
        max_vcpus=None if most is None else int(most),
        template_id=template.get("launchTemplateId") or "",
        template_version=str(template.get("version") or ""),
    )


def _deployed(release: StandingRelease) -> DeployedRelease:
    """What another version of capctl recorded counts as far as it says what is asked; its other keys are left alone."""
    record, arns = _record(release), {resource.type: resource.arn for resource in release.resources}
    image = record.get("image") or {}
    return DeployedRelease(
        id=release.id,
        ami_id=AmiId(record.get("ami_id", "")),
        image=ImageRef(repository=image.get("repository", ""), digest=Digest(image.get("digest", ""))),
        model_set=Digest(record.get("model_set", "")),
        compute_environment_arn=arns[ENVIRONMENT],
        job_queue_arn=arns[QUEUE],
        job_definition_arn=arns[DEFINITION],
    )


def _record(release: StandingRelease) -> dict[str, Any]:
    """Nothing for a release whose record is not capctl's: a person can make one with plain `pulumi up`."""
    try:
        record = json.loads(release.inputs.get("record", ""))
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def base_outputs(deployment: dict[str, Any]) -> BaseOutputs | None:
    """The outputs of the base stack, None when it was never finished."""
    stack = next((r for r in deployment.get("resources") or () if r["type"] == "pulumi:pulumi:Stack"), None)
    found = (stack or {}).get("outputs") or {}
    outputs = BaseOutputs(
        bucket=found.get("bucket", ""),
        repository=found.get("repository", ""),
        table=found.get("table", ""),
        log_group=found.get("log_group", ""),
        job_role_arn=found.get("job_role_arn", ""),
        execution_role_arn=found.get("execution_role_arn", ""),
        instance_profile_arn=found.get("instance_profile_arn", ""),
        queue_url=found.get("queue_url", ""),
        dead_letters_url=found.get("dead_letters_url", ""),
        tasks_table=found.get("tasks_table", ""),
        subnet_ids=tuple(found.get("subnet_ids", ())),
        security_group_ids=tuple(found.get("security_group_ids", ())),
    )
    # What has a default came later.
    needed = [each.name for each in fields(BaseOutputs) if each.default is MISSING]
    return outputs if all(getattr(outputs, name) for name in needed) else None
