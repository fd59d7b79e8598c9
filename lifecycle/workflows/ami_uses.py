"""Who uses AMIs: the releases and the channels of the project, and whatever else of the account names one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, Grant
from lifecycle.domain.channel import Channel
from lifecycle.domain.permissions import READ_CHANNELS, READ_POINTER, READ_STATE
from lifecycle.domain.release import Pointer
from lifecycle.domain.usage import Unread, Use, UseReport, shared_text, unread_text, uses_of, uses_text
from lifecycle.errors import CapctlError, Inconclusive, Interrupted
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.ports.channels import Channels
from lifecycle.ports.clock import Clock
from lifecycle.workflows.status import roles_of

T = TypeVar("T")

_LASTS = timedelta(minutes=1)

READ_PROJECT_USES = (*READ_CHANNELS, *READ_POINTER, *READ_STATE)
READ_USES = (
    *READ_PROJECT_USES,
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeLaunchConfigurations",
    "batch:DescribeComputeEnvironments",
    "ec2:DescribeFleets",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeSpotFleetRequests",
    "ec2:DescribeSpotInstanceRequests",
    "ssm:DescribeParameters",
    "ssm:GetParameters",
)


class Recent(Generic[T]):
    """What `read` gives, read again once it is a minute old; what `is_unread` says could not be read to its end is not tried again."""

    def __init__(self, clock: Clock, read: Callable[[], T], *, is_unread: Callable[[T], bool]) -> None:
        self._clock, self._read, self._is_unread = clock, read, is_unread
        self._found: tuple[datetime, T] | None = None

    def get(self) -> T:
        """What was read last, or now."""
        now = self._clock.now()
        if self._found is None or not (self._is_unread(self._found[1]) or now - self._found[0] < _LASTS):
            self._found = now, self._read()
        return self._found[1]


class UseScan:
    """Everything that uses AMIs, for the steps of one run: the whole account was read less than a minute before."""

    def __init__(self, ports: Ports, target: Target) -> None:
        self.ports, self.target = ports, target
        self._account = Recent(
            ports.clock, partial(account_uses, ports, target), is_unread=lambda report: bool(report.unread)
        )

    def uses(self) -> UseReport:
        """What the account names, and what releases and channels do at this moment."""
        project = project_uses(self.ports)
        named = {use.name: use.ami_id for use in project.uses if use.kind == "channel"}
        return project + without_channels(self.ports, self._account.get(), named)


def project_uses(ports: Ports) -> UseReport:
    """What releases and channels name now, in a few calls. What cannot be read is told in the report, and never raised."""
    return release_uses(ports) + _channel_uses(ports)


def all_uses(ports: Ports, target: Target) -> UseReport:
    """As `project_uses`, and what the whole account has, read anew in many calls."""
    return UseScan(ports, target).uses()


def release_uses(ports: Ports) -> UseReport:
    """The AMIs of the releases that exist, and each release's role. One that does not tell its AMI counts as unread, as does an active
    one that is not among them.

    A region without a table for the pointer, as one of copies, has no release that takes jobs.
    """
    try:
        releases, pointer = ports.stack.releases(), _pointer(ports)
    except Interrupted:
        raise
    except CapctlError as error:
        return UseReport(unread=(Unread(source="releases", why=error.message),))
    silent = [release.id for release in releases if not release.ami_id]
    if pointer and pointer.release_id not in {release.id for release in releases}:
        silent.append(pointer.release_id)
    roles = roles_of(releases, pointer)
    return UseReport(
        uses=tuple(
            Use(ami_id=release.ami_id, kind="release", name=release.id, detail=roles.get(release.id, ""))
            for release in releases
            if release.ami_id
        ),
        unread=tuple(Unread(source="releases", why=f"release {one} does not say which AMI it has") for one in silent),
    )


def account_uses(ports: Ports, target: Target) -> UseReport:
    """What instances, launch templates, groups, fleets and parameters of the account name, whoever made them."""
    return ports.ami_users.scan(template_versions=target.settings.ami.retention.template_versions)


def without_channels(ports: Ports, report: UseReport, named: Mapping[str, str]) -> UseReport:
    """Without the parameters that are channels, which tell the same AMI under two names; `named` is what each channel names.

    One that was read to name another AMI than its channel does was moved meanwhile, and stays a use of both.
    """
    channels = {(ports.channels.parameter(Channel(name)), ami_id) for name, ami_id in named.items()}
    uses = (use for use in report.uses if use.kind != "parameter" or (use.name, use.ami_id) not in channels)
    return replace(report, uses=tuple(uses))


def channel_histories(channels: Channels) -> tuple[Mapping[str, Sequence[AmiId]], tuple[Unread, ...]]:
    """The AMIs that each channel names and named, newest first and each once; none where they cannot be read."""
    try:
        named = [entry.channel for entry in channels.list()]
        return {
            channel: tuple(dict.fromkeys(entry.ami_id for entry in channels.history(channel))) for channel in named
        }, ()
    except Interrupted:
        raise
    except CapctlError as error:
        return {}, (Unread(source="channels", why=error.message),)


def grants_on(amis: Amis, ami: AmiRecord) -> frozenset[Grant]:
    """Who else may start instances of the AMI, or copy a snapshot that it alone has."""
    return amis.grants(ami.id) | _grants_on_snapshots(amis, ami)


def grants_told(amis: Amis, ami: AmiRecord) -> frozenset[Grant] | None:
    """Who else may start it or, where nobody may, copy a snapshot that it alone has; None where AWS does not tell.

    Of one that EC2 gave up it tells no grants, and nobody can start it.
    """
    if ami.state.is_dead:
        return frozenset()
    return if_readable(lambda: amis.grants(ami.id) or _grants_on_snapshots(amis, ami))


def _grants_on_snapshots(amis: Amis, ami: AmiRecord) -> frozenset[Grant]:
    snapshots = ami.sole_snapshots(amis.holders(ami.snapshot_ids))
    return frozenset[Grant]().union(*amis.snapshot_grants(snapshots).values())


def if_readable(read: Callable[[], T]) -> T | None:
    """What `read` gives; None where AWS does not tell, as of AMIs of others."""
    try:
        return read()
    except Interrupted:
        raise
    except CapctlError:
        return None


def why_kept(ports: Ports, report: UseReport, ami: AmiRecord) -> tuple[str, ...]:
    """Why it is not proven that nothing uses an AMI of the target's region; empty when it is. `report` is of `all_uses`."""
    shared = shared_text(grants_told(ports.amis, ami))
    return (*unread_text(report.unread), *uses_text(uses_of(ami, report.by_id())), *shared)


def use_unproven(unread: Sequence[Unread], *, command: str, so: str) -> Inconclusive:
    """The error of a command that needs to know that nobody uses an AMI; `so` says what does not happen therefore."""
    return Inconclusive(
        "use-unproven",
        f"Not everything that may use an AMI could be read ({', '.join(dict.fromkeys(one.source for one in unread))}), so {so}",
        hint=f"Mend what the details name; where AWS refused, the role needs the row of `capctl {command}` in docs/iam.md",
        details=tuple(map(str, unread)),
    )


def _pointer(ports: Ports) -> Pointer | None:
    try:
        return ports.pointers.read()
    except CapctlError as error:
        if error.code != "base-missing":
            raise
        return None


def _channel_uses(ports: Ports) -> UseReport:
    try:
        entries = ports.channels.list()
    except Interrupted:
        raise
    except CapctlError as error:
        return UseReport(unread=(Unread(source="channels", why=error.message),))
    return UseReport(uses=tuple(Use(ami_id=entry.ami_id, kind="channel", name=entry.channel) for entry in entries))
