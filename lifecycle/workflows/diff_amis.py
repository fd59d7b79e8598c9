"""`ami diff`: what one AMI holds and another does not."""

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_difference import AmiContent, AmiDifference, content_of, difference
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_EVIDENCE, READ_SOURCE
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.bake_evidence import read_evidence
from lifecycle.workflows.bake_inputs import present_inputs
from lifecycle.workflows.source_models import tell_of_other_names

PERMISSIONS = {"ami diff": (*READ_AMIS, *READ_CHANNEL, *READ_EVIDENCE, *READ_SOURCE, "ssm:GetParameter")}


def diff_amis(ports: Ports, target: Target, before: AmiId, after: AmiId | None) -> AmiDifference:
    """What is not the same in `after`, or, without it, in the AMI that a bake would make now.

    Raises `CapctlError("ami-missing" | "evidence-missing")`.
    """
    return difference(
        _baked(ports, target, before), _baked(ports, target, after) if after else _to_be_baked(ports, target)
    )


def _baked(ports: Ports, target: Target, ami_id: AmiId) -> AmiContent:
    ami = ports.amis.get(ami_id)
    found = read_evidence(ports.amis, ports.objects, target, ami)
    if found is None:
        raise CapctlError(
            "evidence-missing",
            f"AMI `{ami.id}` has no readable report of what it holds",
            hint="Only AMIs that `capctl ami bake` made for this target have one, below `evidence/` of its bucket",
        )
    return content_of(ami, found[0])


def _to_be_baked(ports: Ports, target: Target) -> AmiContent:
    models, inputs = present_inputs(ports, target)
    tell_of_other_names(ports, models)
    return AmiContent(
        ami_id=None,
        base_ami=inputs.base_ami,
        recipe=inputs.recipe,
        architecture=inputs.architecture,
        commit=ports.baker.commit(),
        files=models.files,
    )
