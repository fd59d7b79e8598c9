"""What a bake would be made of now."""

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.bake_inputs import BakeInputs
from lifecycle.domain.models import ModelSet
from lifecycle.errors import UsageError
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import find_ami, locked


def present_inputs(ports: Ports, target: Target) -> tuple[ModelSet, BakeInputs]:
    """The locked model set, and the inputs with the base AMI of this moment. Raises `UsageError("lock-missing" | "base-ami-unknown")`."""
    models = locked(ports)
    return models, BakeInputs(
        model_set=models.digest,
        base_ami=_resolved(ports, target.settings.ami.base),
        recipe=ports.baker.recipe(),
        architecture=target.settings.ami.architecture,
    )


def base_record(ports: Ports, target: Target, ami_id: AmiId) -> AmiRecord:
    """The base AMI as EC2 describes it. Raises `UsageError("base-ami-unknown")` where EC2 shows none."""
    found = find_ami(ports.amis, ami_id)
    if found is None:
        base = target.settings.ami.base
        raise UsageError(
            "base-ami-unknown",
            f"There is no AMI `{ami_id}` in {target.region}{'' if base == ami_id else f', and parameter `{base}` names it'}",
            hint="Set `ami.base` to an AMI that this account may start there, or to an SSM parameter that holds the id of one",
        )
    return found


def _resolved(ports: Ports, reference: str) -> AmiId:
    try:
        return ports.amis.resolve_base(reference)
    except UsageError as error:
        if error.code != "ami-id-invalid":
            raise
        if reference.startswith("/"):
            found = f"SSM parameter `{reference}` of `ami.base` holds no AMI id"
            hint = "Name the parameter that holds the id alone, such as one whose name ends in `/image_id`"
        else:
            found = f"`ami.base` is `{reference}`, neither an AMI id nor the name of an SSM parameter"
            name = reference.removeprefix("ssm:")
            hint = (
                f"Write the name alone: `{name}`"
                if name.startswith("/")
                else "Write `ami-…`, or a name that begins with `/`"
            )
        raise UsageError("base-ami-unknown", found, hint=hint) from error
