"""Why a bake is needed: what changed since the newest proven AMI of the project."""

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.ami_difference import change_text, changed_inputs, sums_text
from lifecycle.domain.bake_inputs import BakeInputs
from lifecycle.domain.models import ModelSet, changed_files
from lifecycle.ports import Ports
from lifecycle.workflows.bake_evidence import read_evidence


def inputs_told(inputs: BakeInputs, *, base_from: str) -> tuple[str, ...]:
    """The bake digest and the base AMI, a line each; `base_from` is `ami.base`, an id or the SSM parameter that gave it."""
    origin = f" (SSM parameter `{base_from}`)" if base_from.startswith("/") else " (`ami.base`)"
    return f"bake digest: {inputs.digest}", f"base AMI: {inputs.base_ami}{origin}"


def why_bake(
    ports: Ports, target: Target, inputs: BakeInputs, models: ModelSet, amis: tuple[AmiRecord, ...]
) -> tuple[str, tuple[str, ...]]:
    """Why an AMI is made, in one phrase, and a line for each thing that changed. `amis` are the project's, newest first."""
    proven = [ami for ami in amis if ami.is_proven]
    if not proven:
        return f"no proven AMI has bake digest {inputs.digest}; `{target.project}` has no proven one yet", ()
    same = next((ami for ami in proven if not changed_inputs(ami, inputs)), None)
    if same:
        return f"another AMI was asked for; `{same.id}` is {same.status} and has bake digest {inputs.digest}", ()
    newest = proven[0]
    changed = changed_inputs(newest, inputs)
    names = " and ".join(change.name for change in changed)
    because = f"no proven AMI has bake digest {inputs.digest}; since `{newest.id}`, the newest that is proven, {names} changed"
    lines = [str(change) for change in changed]
    if any(change.name == "model set" for change in changed) and (
        found := read_evidence(ports.amis, ports.objects, target, newest)
    ):
        files = changed_files(found[0].files, models.files)
        lines += [f"{change.kind}: {change.path}, {change_text(change)}" for change in files]
        because += f" ({sums_text(files)})"
    return because, tuple(lines)
