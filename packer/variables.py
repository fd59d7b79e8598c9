"""The variables of the template, and the files that some of them name."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDownload:
    """One line of the model list. `url` lets its holder read the file: treat it as a secret."""

    path: str
    bytes: int
    sha256: str
    mode: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeVariables:
    """One field per variable of `templates/models.pkr.hcl`; `None` leaves the choice to AWS."""

    region: str
    base_ami: str
    ami_name: str
    tags: dict[str, str]
    model_list: str
    model_marker: str
    evidence: str
    manifest: str
    instance_type: str
    root_device: str
    volume_gib: int
    ssh_username: str
    ssh_interface: str
    ssh_port: int
    poll_attempts: int
    subnet_id: str | None = None
    kms_key_id: str | None = None
    instance_profile: str | None = None
    custom_endpoint: str | None = None
    custom_data: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write a file for `packer build -var-file`; its name must end with `.json`."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def model_list(models: Iterable[ModelDownload]) -> str:
    """The text of the file that the variable `model_list` names. Raises ValueError for a tab in a column."""
    lines = []
    for model in models:
        columns = (model.sha256, str(model.bytes), model.mode, model.url, model.path)
        if any(not column or "\t" in column or "\n" in column for column in columns):
            raise ValueError(f"model {model.path!r} has an empty column, a tab or a line break")
        lines.append("\t".join(columns) + "\n")
    return "".join(lines)


def write_model_list(models: Iterable[ModelDownload], path: Path) -> None:
    """Write the model list, readable by its owner only. Raises ValueError for a tab in a column."""
    text = model_list(models)
    path.touch(mode=0o600)
    path.write_text(text)
