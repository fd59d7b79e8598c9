"""What Batch and EC2 have of the project's releases, in their own words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import QueueState

_RELEASE_ID = re.compile(r"[0-9a-f]{12}")


def release_in(name: str, project: str) -> str:
    """The id of the release whose resources are called `name`, which is `<project>-<id>`; "" for another name."""
    begin, _, found = name.rpartition("-")
    return found if begin == project and _RELEASE_ID.fullmatch(found) else ""


def name_of(release_id: str, project: str) -> str:
    """What the resources of the release are called."""
    return f"{project}-{release_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRecord:
    """A job queue, alone. `environment_arns` are in the order in which they are tried."""

    arn: str
    name: str
    state: QueueState
    reason: str
    is_enabled: bool
    environment_arns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRecord:
    """A compute environment. `ami_overrides` are the AMIs that it names itself, which Batch takes before the launch template's."""

    arn: str
    name: str
    state: QueueState
    reason: str
    is_enabled: bool
    max_vcpus: int | None
    template_id: str
    template_version: str
    ami_overrides: tuple[AmiId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionRecord:
    """An active revision of a job definition; `image` as it names it."""

    arn: str
    name: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRecord:
    """A launch template: the AMI of each version, "" for one without."""

    id: str
    name: str
    amis: Mapping[str, AmiId] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """An instance of a release that was not terminated, and the AMI that it was started from."""

    id: str
    release_id: str
    ami_id: AmiId
