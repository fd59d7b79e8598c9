"""The container of a release's jobs."""

import json
from typing import Any

from pulumi_aws import batch

from pulumi_stack.config import ReleasesConfig, ReleaseSpec

# Where the AMI holds the model set, and where the container sees it; the image says where it wants the runtime.
HOST_ROOT = "/opt/dl-models"
CONTAINER_ROOT = "/workspace"
MODEL_FOLDERS = ("models", "checkpoints", "experiments")
RUNTIME_FOLDER = "runtime"

# Where the job looks for its database.
DATABASE_VARIABLE = "DATABASE_URL"

# The container's own word for "temporary, try again" (EX_TEMPFAIL of sysexits.h).
TEMPORARY_FAILURE = "75"


def container_properties(config: ReleasesConfig, spec: ReleaseSpec) -> str:
    """Batch's container properties as JSON with sorted keys, so that equal releases give equal text."""
    resources = {"VCPU": spec.vcpus, "MEMORY": spec.memory_mib, **({"GPU": spec.gpus} if spec.gpus else {})}
    mounts = {name: f"{CONTAINER_ROOT}/{name}" for name in MODEL_FOLDERS}
    if spec.runtime_mount:
        mounts[RUNTIME_FOLDER] = spec.runtime_mount
    environment = {"AWS_REGION": config.region, "MODEL_SET": spec.model_set, **spec.environment}
    properties: dict[str, Any] = {
        "image": spec.image,
        "jobRoleArn": config.job_role_arn,
        "executionRoleArn": config.execution_role_arn,
        "environment": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        # The role of the start reads it, and the definition that everybody can see holds only its name.
        **(
            {"secrets": [{"name": DATABASE_VARIABLE, "valueFrom": secret}]}
            if (secret := spec.database_secret_arn)
            else {}
        ),
        "resourceRequirements": [{"type": name, "value": str(amount)} for name, amount in resources.items()],
        "volumes": [{"name": name, "host": {"sourcePath": f"{HOST_ROOT}/{name}"}} for name in mounts],
        "mountPoints": [
            {"sourceVolume": name, "containerPath": path, "readOnly": True} for name, path in mounts.items()
        ],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": config.log_group,
                "awslogs-region": config.region,
                "awslogs-stream-prefix": spec.id,
            },
        },
    }
    return json.dumps(properties, sort_keys=True)


def retry_strategy(attempts: int) -> batch.JobDefinitionRetryStrategyArgs:
    """Retry what is nobody's fault: a lost host, a pull or start that failed, a temporary failure by the job's own word."""
    rule = batch.JobDefinitionRetryStrategyEvaluateOnExitArgs
    return batch.JobDefinitionRetryStrategyArgs(
        attempts=attempts,
        evaluate_on_exits=[
            rule(action="RETRY", on_status_reason="Host EC2*"),
            rule(action="RETRY", on_reason="CannotPullContainerError*"),
            rule(action="RETRY", on_status_reason="Task failed to start*"),
            rule(action="RETRY", on_exit_code=TEMPORARY_FAILURE),
            rule(action="EXIT", on_reason="*"),
        ],
    )
