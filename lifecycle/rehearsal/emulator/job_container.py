"""What the container of a job gets: the definition with the overrides of the submission, its environment, its mounts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from lifecycle.rehearsal.emulator import containers
from lifecycle.rehearsal.emulator.calls import JOB_KEY_ID
from lifecycle.rehearsal.emulator.host_paths import bind_source

if TYPE_CHECKING:
    from lifecycle.rehearsal.emulator.jobs import RehearsalJob


class SecretUnavailable(Exception):
    """A secret that the job definition names cannot be read."""


def container_spec(job: RehearsalJob) -> containers.ContainerSpec:
    """The container of the job's present attempt. Raises: SecretUnavailable, host_paths.MissingHostPath."""
    properties = properties_of(job)
    name = containers.local_name(properties["image"], job.stage.registry)
    volumes = {volume["name"]: volume.get("host") or {} for volume in properties.get("volumes") or ()}
    return containers.ContainerSpec(
        name=f"{job.job_name}-{job.job_id.replace(':', '-')}-{len(job.attempts)}",
        image=name,
        # A tag may have moved since the engine saw it; a digest cannot.
        always_pull=name != properties["image"] and "@" not in name,
        command=job._add_parameters_to_command(properties.get("command") or []),
        environment=_environment(job),
        mounts=[
            containers.Mount(
                source=_mount_source(job, mount["sourceVolume"], volumes, read_only=bool(mount.get("readOnly"))),
                target=mount["containerPath"],
                read_only=bool(mount.get("readOnly")),
            )
            for mount in properties.get("mountPoints") or ()
        ],
        properties=properties,
        rehearsal=job.stage.rehearsal,
    )


def _mount_source(job: RehearsalJob, volume: str, volumes: Mapping[str, Mapping[str, Any]], *, read_only: bool) -> str:
    path = volumes.get(volume, {}).get("sourcePath")
    if not path:
        empty = job.host.disk / "volumes" / job.job_id / volume
        empty.mkdir(parents=True, exist_ok=True)
        return str(empty)
    chain = job.stage.layers.chain(job.host.ami_id)
    with job.host.lock:
        return str(bind_source(chain, path, read_only=read_only, scratch=job.host.disk / "root"))


def _environment(job: RehearsalJob) -> dict[str, str]:
    region = job.backend.region_name
    given = {entry["name"]: entry["value"] for entry in properties_of(job).get("environment") or ()}
    secrets = {secret["name"]: _secret(job, secret["valueFrom"]) for secret in properties_of(job).get("secrets") or ()}
    of_batch = {
        "AWS_BATCH_JOB_ID": job.job_id,
        "AWS_BATCH_JQ_NAME": job.job_queue.name,
        "AWS_BATCH_CE_NAME": job.host.environment_name,
        "AWS_BATCH_JOB_ATTEMPT": str(len(job.attempts)),
    }
    if "index" in job.array_properties:
        of_batch["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job.array_properties["index"])
    # The job role's credentials, the region and the way to AWS, which on AWS come from the metadata services.
    of_place = {
        "AWS_ENDPOINT_URL": job.stage.endpoint,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_ACCESS_KEY_ID": JOB_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CAPCTL_REHEARSAL": job.stage.rehearsal,
    }
    return of_place | given | secrets | of_batch


def _secret(job: RehearsalJob, value_from: str) -> str:
    account, region = job.backend.account_id, job.backend.region_name
    try:
        if ":secretsmanager:" in value_from:
            # ARN, optionally followed by the key of a JSON document, a stage and a version
            name, (key, *_) = ":".join(value_from.split(":")[:7]), [*value_from.split(":")[7:], ""]
            text = str(secretsmanager_backends[account][region].get_secret_value(name, "", "")["SecretString"])
            return str(json.loads(text)[key]) if key else text
        parameter = ssm_backends[account][region].get_parameter(value_from.rpartition(":parameter")[2] or value_from)
        return str(parameter.response_object(decrypt=True, region=region)["Value"])
    except Exception as err:
        message = f"{value_from}: {err}"
        raise SecretUnavailable(message) from err


def properties_of(job: RehearsalJob) -> dict[str, Any]:
    """containerProperties with the overrides of SubmitJob applied."""
    base = dict(job.job_definition.container_properties or {})
    overrides = dict(job.container_overrides)
    environment = {entry["name"]: entry["value"] for entry in base.get("environment") or ()}
    environment |= {entry["name"]: entry.get("value", "") for entry in overrides.pop("environment", None) or ()}
    base["environment"] = [{"name": name, "value": value} for name, value in environment.items()]
    required = {entry["type"]: entry for entry in base.get("resourceRequirements") or ()}
    required |= {entry["type"]: entry for entry in overrides.pop("resourceRequirements", None) or ()}
    base["resourceRequirements"] = list(required.values())
    return base | {name: value for name, value in overrides.items() if value}


def requirements_of(job: RehearsalJob) -> dict[str, str]:
    """The resourceRequirements by type: VCPU, MEMORY (MiB), GPU."""
    return {entry["type"]: entry["value"] for entry in properties_of(job)["resourceRequirements"]}
