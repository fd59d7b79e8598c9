"""What was looked at for drift, and a difference that was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.compute import DefinitionRecord, EnvironmentRecord, HostRecord, QueueRecord, TemplateRecord
from lifecycle.domain.digest import Digest
from lifecycle.domain.recorded import StackRecord
from lifecycle.domain.release import Pointer
from lifecycle.domain.usage import Unread


class Severity(StrEnum):
    """How bad a difference is, the worst first. `unread`: it could not be looked at, so nobody knows."""

    FAULT = "fault"
    UNREAD = "unread"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between what was deployed and what there is. `code` is its kind, in kebab-case; `next` is what to do, "" for
    nothing; `release_id` is "" where it concerns no single release.
    """

    severity: Severity
    code: str
    what: str
    expected: str
    found: str
    next: str = ""
    release_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that `capctl drift` looks at. What could not be read is None, and told in `unread`.

    `stack` is the name of the stack that has the releases. `amis` are the project's, newest first, and those of releases that exist
    without its tag; `stable` is the AMI that the channel names, `image_tags` are the tags of every image of the repository.
    """

    project: str
    stack: str
    repository: str
    pointer: Pointer | None = None
    has_base: bool | None = None
    record: StackRecord | None = None
    queues: Mapping[str, QueueRecord] | None = None
    environments: Mapping[str, EnvironmentRecord] | None = None
    definitions: Mapping[str, DefinitionRecord] | None = None
    templates: Mapping[str, TemplateRecord] | None = None
    hosts: tuple[HostRecord, ...] | None = None
    amis: Mapping[AmiId, AmiRecord] | None = None
    stable: AmiId | None = None
    image_tags: Mapping[Digest, tuple[str, ...]] | None = None
    unread: tuple[Unread, ...] = ()
