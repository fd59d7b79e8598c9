"""`ami copy`: the same AMI in other regions, each copy verified by what the instance of its bake reported."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.proof import Level
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Interrupted, PartlyApplied, UsageError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.ports.baker import AmiNameTaken
from lifecycle.workflows.bake_evidence import doubt_of_copy
from lifecycle.workflows.bake_steps import FINISH, finish_steps
from lifecycle.workflows.deregister import DeregisterDead
from lifecycle.workflows.lookups import ami_named, proven_ami
from lifecycle.workflows.wait_available import holder_of, wait_named

T = TypeVar("T")
PERMISSIONS = {"ami copy": (*READ_AMIS, *READ_CHANNEL, "ec2:DescribeSnapshots", *FINISH)}

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
# What a copy gets anew, or never: the run, the status, what was proven, and what was done to its source.
_NOT_COPIED = {Tag.RUN, Tag.RUN_UNTIL, Tag.STATUS, Tag.VERIFIED, Tag.DISABLED_AT, Tag.DISABLED_BY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What came of one region: an AMI, or a failure. `is_changed` unless the copy was verified before."""

    region: str
    ami: AmiRecord | None
    is_changed: bool
    failure: CapctlError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyAmi:
    """Begin to copy an AMI into another region, under the same name; the copy and its snapshots are tagged from the first moment."""

    ports: Ports
    amis: Amis
    source: AmiRecord
    source_region: str
    region: str
    tags: dict[str, str]
    permissions: tuple[str, ...] = (*READ_AMIS, "ec2:CopyImage", "ec2:CreateTags")

    def describe(self) -> str:
        return f"copy {self.source.id} from {self.source_region} to {self.region} as {self.source.name}"

    def apply(self) -> AmiId:
        try:
            return self.amis.copy_from(self.source_region, self.source, tags=self.tags)
        except AmiNameTaken as taken:
            # Another run, or a call whose answer was lost, has begun it.
            found = holder_of(self.amis, self.ports.clock, self.source.name, taken)
            if not _is_copy(self.amis, found, self.tags):
                raise
            return found.id

    def verify(self, _: AmiId) -> None:
        wait_named(self.amis, self.ports.clock, self.source.name)


def parse_regions(texts: Iterable[str], target: Target) -> tuple[str, ...]:
    """The regions, each once. Raises `UsageError("region-invalid")`, for the target's own region too."""
    for text in texts:
        if not _REGION.fullmatch(text):
            raise UsageError(
                "region-invalid", f"`{text}` is not an AWS region", hint="Write one such as `eu-central-1`"
            )
        if text == target.region:
            raise UsageError(
                "region-invalid",
                f"`{text}` is the region of target `{target.name}`, where the AMI is already",
                hint="Name another region with `--to-region`",
            )
    return tuple(dict.fromkeys(texts))


def copy_ami(
    ports: Ports,
    target: Target,
    run: Run,
    ami_id: AmiId,
    regions: tuple[str, ...],
    *,
    carry_out: Callable[[Plan], Done | None],
) -> tuple[Copy, ...]:
    """Make a verified copy exist in every region; what fails in one stops none of the others.

    All copies are begun before the first is waited for. Raises `CapctlError("ami-missing" | "ami-foreign" | "ami-not-verified")`.
    """
    source = proven_ami(ports.amis, target, ami_id)
    _tell_of_keys(ports, source, regions)
    begun = [
        _tried(ports, region, partial(_begin, ports, target, run, source, region, carry_out)) for region in regions
    ]
    return tuple(
        left
        if isinstance(left, Copy)
        else _tried(ports, region, partial(_finish, ports, source, left, region, carry_out))
        for region, left in zip(regions, begun, strict=True)
    )


def plan_copies(ports: Ports, target: Target, run: Run, ami_id: AmiId, regions: tuple[str, ...]) -> Plan:
    """What `copy_ami` would do, as one plan. Raises the first failure of any region."""
    source = proven_ami(ports.amis, target, ami_id)
    plans = [plan_copy(ports, target, run, source, region) for region in regions]
    return Plan(
        title=f"copy {ami_id} to {', '.join(regions)}",
        because="; ".join(plan.because for plan in plans),
        steps=tuple(step for plan in plans for step in plan.steps),
    )


def plan_copy(ports: Ports, target: Target, run: Run, source: AmiRecord, region: str) -> Plan:
    """A plan that makes a verified copy exist in one region; empty when it does.

    A copy that a former run began is gone on with; one that EC2 gave up is replaced. Raises `CapctlError("ami-name-taken")` for another
    AMI of the name, and `CapctlError("ami-not-replaced")` for a copy that was withdrawn.
    """
    amis, title = ports.amis_in(region), f"copy {source.id} to {region}"
    tags = _tags_of_copy(source, target, run)
    existing = amis.by_name(source.name)
    copy = CopyAmi(ports=ports, amis=amis, source=source, source_region=target.region, region=region, tags=tags)
    # Instances are started in the target's region only.
    finish = finish_steps(ports, target, run, amis, name=source.name, tags=tags, level=Level.PAYLOAD, region=region)
    if existing is None:
        return Plan(title=title, because=f"no AMI in {region} is called {source.name}", steps=(copy, *finish))
    has_content = existing.tags.get(Tag.BAKE_DIGEST) == source.tags.get(Tag.BAKE_DIGEST)
    if existing.is_proven and has_content and not doubt_of_copy(amis, existing):
        return Plan(
            title=title, because=f"AMI `{existing.id}` in {region} is {existing.status} and has the same content"
        )
    _require_going_on(amis, existing, tags, region)
    if existing.state.is_dead:
        because = f"EC2 gave copy `{existing.id}` in {region} up: it is `{existing.state}`"
        return Plan(
            title=title,
            because=because,
            steps=(DeregisterDead(amis=amis, ami=existing, region=region), copy, *finish),
        )
    return Plan(title=title, because=f"copy `{existing.id}` in {region} is not verified", steps=finish)


def copy_failure(copies: tuple[Copy, ...]) -> CapctlError | None:
    """The error that the failures amount to, if any: the first one's when no copy was made, `PartlyApplied` otherwise."""
    failures = {copy.region: copy.failure for copy in copies if copy.failure}
    if not failures:
        return None
    details = tuple(f"{region}: {failure.message}" for region, failure in failures.items())
    first = next(iter(failures.values()))
    if len(failures) == len(copies):
        return type(first)(first.code, first.message, hint=first.hint, details=(*first.details, *details[1:]))
    done = ", ".join(copy.region for copy in copies if not copy.failure)
    return PartlyApplied(
        "copies-incomplete",
        f"The AMI is in {done}, and not in {', '.join(failures)}",
        hint=first.hint or "Run the same command again: it goes on from what is there",
        details=details,
    )


def _tried(ports: Ports, region: str, act: Callable[[], T]) -> T | Copy:
    """What comes of `act`, or the copy that failed."""
    try:
        return act()
    except Interrupted:
        raise
    except CapctlError as failure:
        ports.ui.warn(f"{region}: {failure.message}")
        return Copy(region=region, ami=None, is_changed=False, failure=failure)


def _begin(
    ports: Ports, target: Target, run: Run, source: AmiRecord, region: str, carry_out: Callable[[Plan], Done | None]
) -> Plan:
    """Start the copy; returns what is left to do."""
    plan = plan_copy(ports, target, run, source, region)
    first = tuple(step for step in plan.steps if isinstance(step, DeregisterDead | CopyAmi))
    if first:
        carry_out(replace(plan, steps=first))
    return replace(plan, steps=plan.steps[len(first) :])


def _finish(ports: Ports, source: AmiRecord, left: Plan, region: str, carry_out: Callable[[Plan], Done | None]) -> Copy:
    carry_out(left)
    ami = ami_named(ports.amis_in(region), source.name)
    ports.ui.note(
        f"The other commands show the copy with its region: `CAPCTL_REGION={region} capctl ami show {ami.id}`"
    )
    return Copy(region=region, ami=ami, is_changed=bool(left.steps))


def _tags_of_copy(source: AmiRecord, target: Target, run: Run) -> dict[str, str]:
    # AWS sets the tags that begin with `aws:`, and nobody else may.
    kept = {key: value for key, value in source.tags.items() if key not in _NOT_COPIED and not key.startswith("aws:")}
    return {
        **kept,
        Tag.COPIED_FROM.value: f"{target.region}/{source.id}",
        Tag.RUN.value: run.id,
        Tag.STATUS.value: AmiStatus.CANDIDATE.value,
    }


def _is_copy(amis: Amis, ami: AmiRecord, tags: dict[str, str]) -> bool:
    """Whether an AMI was made by a copy of the same source with the same content, as its tags and EC2 say."""
    tells = all(ami.tags.get(key) == tags.get(key) for key in (Tag.BAKE_DIGEST, Tag.COPIED_FROM))
    return tells and not doubt_of_copy(amis, ami)


def _require_going_on(amis: Amis, existing: AmiRecord, tags: dict[str, str], region: str) -> None:
    if not _is_copy(amis, existing, tags):
        raise CapctlError(
            "ami-name-taken",
            f"AMI `{existing.id}` in {region} is called `{existing.name}` and is no copy of `{tags[Tag.COPIED_FROM]}`",
            hint="Find out who made it; once it is deregistered, run the same command again",
        )
    if not existing.is_unfinished:
        raise CapctlError(
            "ami-not-replaced",
            f"Copy `{existing.id}` in {region} is `{existing.state}` and {existing.known_status()}; a copy is not brought back",
            hint=f"Run `capctl ami disable --undo {existing.id}` with a target in {region}",
        )


def _tell_of_keys(ports: Ports, source: AmiRecord, regions: tuple[str, ...]) -> None:
    if any(snapshot.encrypted for snapshot in ports.amis.snapshots(source.snapshot_ids)):
        ports.ui.note(
            f"The snapshots in {', '.join(regions)} are encrypted with the default EBS key there, so those copies cannot be shared"
        )
