"""What goes into a bake, and how the AMI is named for it."""

import re
from dataclasses import dataclass

from lifecycle.domain.ami import AmiId
from lifecycle.domain.digest import Digest, canonical_json, digest_of, short


def run_in_name(project: str, name: str) -> str | None:
    """The run that `name` tells of, as that of a forced bake's AMI does, or ""; None for what is no name of the project's AMIs."""
    found = re.fullmatch(
        rf"{re.escape(project)}-models-[0-9a-f]{{12}}-[0-9a-z]{{1,8}}(?:-(?P<run>[0-9]{{8}}-.+))?", name
    )
    return (found["run"] or "") if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeInputs:
    """Everything that decides what a bake produces; time, user and run do not enter."""

    model_set: Digest
    base_ami: AmiId
    recipe: Digest
    architecture: str

    @property
    def digest(self) -> Digest:
        """The bake digest: same digest and a verified AMI mean nothing is to be done."""
        return digest_of(
            canonical_json(
                {
                    "model_set": self.model_set,
                    "base_ami": self.base_ami,
                    "recipe": self.recipe,
                    "architecture": self.architecture,
                }
            )
        )

    def ami_name(self, project: str) -> str:
        """The deterministic AMI name, which AWS keeps unique: of two bakes at once one loses and adopts the other's AMI."""
        return f"{project}-models-{short(self.digest)}-{self.base_ami.removeprefix('ami-')[:8]}"
