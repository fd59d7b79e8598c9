"""Who uses AMIs: the releases and the channels of the project, and whatever else of the account names one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, Grant
from lifecycle.domain.channel import Channel
from lifecycle.domain.permissions import READ_CHANNELS, READ_POINTER, READ_STATE
from lifecycle.domain.usage import Unread, Use, UseReport, shared_text, unread_text, uses_of, uses_text
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.ports.channels import Channels
from lifecycle.workflows.uses import Recent, release_uses

T = TypeVar("T")

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
        named = {use.name: use.of for use in project.uses if use.kind == "channel"}
        return project + without_channels(self.ports, self._account.get(), named)


def project_uses(ports: Ports) -> UseReport:
    """What releases and channels name now, in a few calls. What cannot be read is told in the report, and never raised."""
    return ami_release_uses(ports) + _channel_uses(ports)


def all_uses(ports: Ports, target: Target) -> UseReport:
    """As `project_uses`, and what the whole account has, read anew in many calls."""
    return UseScan(ports, target).uses()


def ami_release_uses(ports: Ports) -> UseReport:
    """The AMIs of the releases that exist."""
    return release_uses(ports, what="AMI", of=lambda release: release.ami_id)


def account_uses(ports: Ports, target: Target) -> UseReport:
    """What instances, launch templates, groups, fleets and parameters of the account name, whoever made them."""
    return ports.ami_users.scan(template_versions=target.settings.ami.retention.template_versions)


def without_channels(ports: Ports, report: UseReport, named: Mapping[str, str]) -> UseReport:
    """Without the parameters that are channels, which tell the same AMI under two names; `named` is what each channel names.

    One that was read to name another AMI than its channel does was moved meanwhile, and stays a use of both.
    """
    channels = {(ports.channels.parameter(Channel(name)), ami_id) for name, ami_id in named.items()}
    uses = (use for use in report.uses if use.kind != "parameter" or (use.name, use.of) not in channels)
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


def _channel_uses(ports: Ports) -> UseReport:
    try:
        entries = ports.channels.list()
    except Interrupted:
        raise
    except CapctlError as error:
        return UseReport(unread=(Unread(source="channels", why=error.message),))
    return UseReport(uses=tuple(Use(of=entry.ami_id, kind="channel", name=entry.channel) for entry in entries))
