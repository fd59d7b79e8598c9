"""What a bake would be made of now."""

from lifecycle.config.target import Target
from lifecycle.domain.ami import BakeInputs
from lifecycle.domain.models import ModelSet
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import locked


def present_inputs(ports: Ports, target: Target) -> tuple[ModelSet, BakeInputs]:
    """The locked model set, and the inputs with the base AMI of this moment."""
    models = locked(ports)
    return models, BakeInputs(
        model_set=models.digest,
        base_ami=ports.amis.resolve_base(target.settings.ami.base),
        recipe=ports.baker.recipe(),
        architecture=target.settings.ami.architecture,
    )
