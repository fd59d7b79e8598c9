"""What tells two AMIs apart: what went into them, and the model files that they hold."""

from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.bake_inputs import BakeInputs
from lifecycle.domain.evidence import Evidence
from lifecycle.domain.measures import size_text
from lifecycle.domain.models import ChangeKind, FileChange, ModelFile, changed_files
from lifecycle.domain.tags import Tag

_COMMIT = "git commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiContent:
    """An AMI, or, without an id, one that would be baked now. What is not known is ""."""

    ami_id: AmiId | None
    base_ami: str
    recipe: str
    architecture: str
    commit: str
    files: tuple[ModelFile, ...]

    @property
    def total_bytes(self) -> int:
        """Payload size."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputChange:
    """An input other than the model files that is not the same."""

    name: str
    before: str
    after: str

    @property
    def decides(self) -> bool:
        """Whether a bake depends on it: on a git commit none does."""
        return self.name != _COMMIT

    def __str__(self) -> str:
        return f"{self.name} {self.before or '-'} -> {self.after or '-'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiDifference:
    """What is not the same in `after` as it is in `before`."""

    before: AmiContent
    after: AmiContent
    inputs: tuple[InputChange, ...]
    files: tuple[FileChange, ...]

    @property
    def is_equal(self) -> bool:
        """Whether a bake of either gives the same."""
        return not self.files and not any(change.decides for change in self.inputs)


def content_of(ami: AmiRecord, evidence: Evidence) -> AmiContent:
    """What an AMI holds as its tags and the report of its instance say."""
    return AmiContent(
        ami_id=ami.id,
        base_ami=ami.tags.get(Tag.BASE_AMI, ""),
        recipe=ami.tags.get(Tag.RECIPE, ""),
        architecture=ami.architecture,
        commit=ami.tags.get(Tag.GIT, ""),
        files=evidence.files,
    )


def difference(before: AmiContent, after: AmiContent) -> AmiDifference:
    """Compare two AMIs."""
    named = (
        ("base AMI", before.base_ami, after.base_ami),
        ("recipe", before.recipe, after.recipe),
        ("architecture", before.architecture, after.architecture),
        (_COMMIT, before.commit, after.commit),
    )
    return AmiDifference(
        before=before, after=after, inputs=_changed(named), files=changed_files(before.files, after.files)
    )


def changed_inputs(ami: AmiRecord, inputs: BakeInputs) -> tuple[InputChange, ...]:
    """Which of the inputs are not those of an AMI; whoever knows its digest only learns of no file."""
    pairs = (
        ("model set", ami.tags.get(Tag.MODEL_SET, ""), inputs.model_set),
        ("base AMI", ami.tags.get(Tag.BASE_AMI, ""), inputs.base_ami),
        ("recipe", ami.tags.get(Tag.RECIPE, ""), inputs.recipe),
        ("architecture", ami.architecture, inputs.architecture),
    )
    return _changed(pairs)


def change_text(change: FileChange) -> str:
    """What became of a file's size and mode: `12.3 MB`, `12.3 MB -> 12.4 MB`, `12.3 MB, mode 0444 -> 0644`."""
    one, other = change.before, change.after
    if one is None or other is None:
        file = one or other
        return size_text(file.bytes) if file else ""
    size = size_text(one.bytes) if one.bytes == other.bytes else f"{size_text(one.bytes)} -> {size_text(other.bytes)}"
    return size if one.mode == other.mode else f"{size}, mode {one.mode} -> {other.mode}"


def sums_text(files: Iterable[FileChange]) -> str:
    """How many files, in words: `1 added, 2 changed`; "" when there are none."""
    kinds = [change.kind for change in files]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in ChangeKind if kind in kinds)


def _changed(pairs: Iterable[tuple[str, str, str]]) -> tuple[InputChange, ...]:
    return tuple(InputChange(name=name, before=one, after=other) for name, one, other in pairs if one != other)
