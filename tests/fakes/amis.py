"""`ports.Amis` in memory."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord, parse_ami_id
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Denied, UsageError
from lifecycle.ports.baker import AmiNameTaken

BASE_AMI = AmiId("ami-0base0000000gpu1")
BASE_PARAMETER = "/aws/service/ecs/base"


class FakeAmis:
    """Holds one base AMI of another account, and those that tests `add`.

    A snapshot is `completed` unless `snapshot_states` says otherwise, None for one that is gone.
    Each `get` of an AMI that `course` names brings it one state further; in the state None it is not to be seen.
    """

    def __init__(self) -> None:
        base = _record(BASE_AMI, "al2023-ami-ecs-gpu", number=0)
        self.parameters = {BASE_PARAMETER: BASE_AMI}
        self._foreign = {BASE_AMI: base}
        self._own: dict[AmiId, AmiRecord] = {}
        self.snapshot_tags: dict[str, dict[str, str]] = {}
        self.snapshot_states: dict[str, str | None] = {}
        self._orphans: dict[str, AmiRecord] = {}
        self._grants: dict[AmiId, frozenset[Grant]] = {}
        self._snapshot_grants: dict[str, frozenset[Grant]] = {}
        self.encrypts_by_default_key = False
        self.course: dict[AmiId, list[AmiState | None]] = {}
        self._made = 0

    def add(
        self,
        name: str,
        *,
        instance_id: str = "",
        tags: dict[str, str] | None = None,
        state: AmiState = AmiState.AVAILABLE,
        architecture: str = "x86_64",
    ) -> AmiRecord:
        """An AMI as `CreateImage` makes it. Raises `AmiNameTaken`."""
        if self.by_name(name):
            raise AmiNameTaken("ami-name-taken", f"AMI `{name}` exists already")
        self._made += 1
        made = _record(AmiId(f"ami-{self._made:017x}"), name, number=self._made, architecture=architecture)
        record = replace(made, tags=dict(tags or {}), state=state, source_instance=instance_id)
        self._own[record.id] = record
        self.snapshot_tags |= {snapshot: dict(record.tags) for snapshot in record.snapshot_ids}
        return record

    def own(self) -> tuple[AmiRecord, ...]:
        """Every AMI of the account, for the fakes beside this one."""
        return tuple(self._own.values())

    def change(self, ami_id: AmiId, *, state: AmiState) -> None:
        """What happens to an AMI by itself."""
        self._own[ami_id] = replace(self._own[ami_id], state=state)

    def launched(self, ami_id: AmiId, at: str) -> None:
        """What EC2 tells, up to a day later, of the last instance that was started from it."""
        self._own[ami_id] = replace(self._own[ami_id], last_launched=at)

    def resolve_base(self, reference: str) -> AmiId:
        if not reference.startswith("/"):
            return parse_ami_id(reference)
        if reference not in self.parameters:
            raise UsageError("base-ami-unknown", f"There is no SSM parameter `{reference}`")
        return parse_ami_id(self.parameters[reference])

    def get(self, ami_id: AmiId) -> AmiRecord:
        hidden = False
        if left := self.course.get(ami_id):
            state = left.pop(0)
            hidden = state is None
            self.change(ami_id, state=state or self._own[ami_id].state)
        found = self._own.get(ami_id) or self._foreign.get(ami_id)
        if found is None or hidden:
            raise CapctlError("ami-missing", f"There is no AMI `{ami_id}`")
        return found

    def by_name(self, name: str) -> AmiRecord | None:
        named = (ami for ami in self._own.values() if ami.name == name)
        return next((ami for ami in named if ami.state is not AmiState.DEREGISTERED), None)

    def list(self, project: str) -> tuple[AmiRecord, ...]:
        found = [ami for ami in self._own.values() if ami.tags.get(Tag.PROJECT) == project]
        return tuple(sorted(found, key=lambda ami: (ami.created, ami.id), reverse=True))

    def snapshots(self, ids: Collection[str]) -> tuple[SnapshotRecord, ...]:
        return tuple(self._snapshots()[snapshot] for snapshot in sorted(set(ids)) if snapshot in self._snapshots())

    def snapshots_of(self, project: str) -> tuple[SnapshotRecord, ...]:
        return tuple(one for one in self._snapshots().values() if one.tags.get(Tag.PROJECT) == project)

    def stray_snapshots(self) -> tuple[SnapshotRecord, ...]:
        return tuple(one for one in self._snapshots().values() if not one.tags and not self.holders([one.id])[one.id])

    def tag_snapshot(self, snapshot_id: str, tags: dict[str, str]) -> None:
        self.snapshot_tags[snapshot_id] = self._snapshots()[snapshot_id].tags | tags

    def delete_snapshot(self, snapshot_id: str) -> bool:
        if any(snapshot_id in ami.snapshot_ids for ami in self._own.values()):
            return False
        self._orphans.pop(snapshot_id, None)
        return True

    def orphan(self, ami_id: AmiId) -> None:
        """Let an AMI be gone, and its snapshots be left."""
        gone = self._own.pop(ami_id)
        self._orphans |= dict.fromkeys(gone.snapshot_ids, gone)

    def _snapshots(self) -> dict[str, SnapshotRecord]:
        # The first of those that have it is the one that it was made for.
        of = self._orphans | {one: ami for ami in reversed(self._own.values()) for one in ami.snapshot_ids}
        return {
            snapshot: SnapshotRecord(
                id=snapshot,
                state=state,
                size_gib=ami.size_gib,
                full_bytes=None,
                encrypted=True,
                tags=self.snapshot_tags.get(snapshot, {}),
                ami_id=ami.id,
                source_ami=ami.source_ami,
                started=ami.created,
            )
            for snapshot, ami in of.items()
            if (state := self.snapshot_states.get(snapshot, "completed"))
        }

    def source_instance(self, ami: AmiRecord) -> str:
        return ami.source_instance

    def tag(self, ami_id: AmiId, tags: dict[str, str]) -> None:
        self._own[ami_id] = replace(self.get(ami_id), tags=self.get(ami_id).tags | tags)
        for snapshot in self._sole_snapshots(ami_id):
            self.snapshot_tags[snapshot] = self.snapshot_tags.get(snapshot, {}) | tags

    def untag(self, ami_id: AmiId, keys: Collection[str]) -> None:
        ami = self.get(ami_id)
        self._own[ami_id] = replace(ami, tags={key: value for key, value in ami.tags.items() if key not in keys})
        for snapshot in self._sole_snapshots(ami_id):
            tags = self.snapshot_tags.get(snapshot, {})
            self.snapshot_tags[snapshot] = {key: value for key, value in tags.items() if key not in keys}

    def require_imds_v2(self, ami_id: AmiId) -> None:
        self._own[ami_id] = replace(self.get(ami_id), imds_v2=True)

    def deprecate(self, ami_id: AmiId, at: datetime | None) -> None:
        rounded = (at + timedelta(seconds=30)).astimezone(UTC) if at else None
        text = rounded.strftime("%Y-%m-%dT%H:%M:00.000Z") if rounded else ""
        self._own[ami_id] = replace(self.get(ami_id), deprecated_at=text)

    def disable(self, ami_id: AmiId) -> None:
        self._own[ami_id] = replace(self.get(ami_id), state=AmiState.DISABLED)
        self._grants.pop(ami_id, None)
        for snapshot in self._sole_snapshots(ami_id):
            self._snapshot_grants.pop(snapshot, None)

    def enable(self, ami_id: AmiId) -> None:
        if self.get(ami_id).state is AmiState.DISABLED:
            self.change(ami_id, state=AmiState.AVAILABLE)

    def grants(self, ami_id: AmiId) -> frozenset[Grant]:
        if ami_id in self._foreign:
            raise Denied("permission-denied", f"AWS refused reading who may start AMI `{ami_id}`")
        return self._grants.get(self.get(ami_id).id, frozenset())

    def require_shareable(self, ami_id: AmiId) -> None:
        if self.encrypts_by_default_key:
            raise CapctlError("ami-not-shareable", f"`{ami_id}` is encrypted with the account's default EBS key")

    def change_grants(self, ami_id: AmiId, *, add: Collection[Grant] = (), remove: Collection[Grant] = ()) -> None:
        if add:
            self.require_shareable(ami_id)
        self._grants[ami_id] = (self.grants(ami_id) | set(add)) - set(remove)
        accounts = {grant for grant in add if grant.account}
        for snapshot in self.get(ami_id).snapshot_ids:
            given = self._snapshot_grants.get(snapshot, frozenset())
            self._snapshot_grants[snapshot] = (given | accounts) - set(remove)

    def set_snapshot_grants(self, snapshot_id: str, *grants: Grant) -> None:
        """What somebody did by hand, or a change of grants left that was cut off after the AMI's own."""
        self._snapshot_grants[snapshot_id] = frozenset(grants)

    def snapshot_grants(self, snapshot_ids: Collection[str]) -> dict[str, frozenset[Grant]]:
        return {snapshot: self._snapshot_grants.get(snapshot, frozenset()) for snapshot in snapshot_ids}

    def holders(self, snapshot_ids: Collection[str]) -> dict[str, frozenset[AmiId]]:
        return {one: frozenset(ami.id for ami in self._own.values() if one in ami.snapshot_ids) for one in snapshot_ids}

    def register(self, name: str, snapshot_ids: tuple[str, ...]) -> AmiRecord:
        """What `RegisterImage` makes by hand: an AMI of snapshots that another has already."""
        made = self.add(name)
        self._own[made.id] = replace(made, snapshot_ids=snapshot_ids)
        return self._own[made.id]

    def _sole_snapshots(self, ami_id: AmiId) -> tuple[str, ...]:
        ami = self.get(ami_id)
        return ami.sole_snapshots(self.holders(ami.snapshot_ids))

    def copy_from(self, region: str, ami: AmiRecord, *, tags: dict[str, str]) -> AmiId:
        copy = self.add(ami.name)
        self._own[copy.id] = replace(copy, source_ami=ami.id, source_region=region)
        self.tag(copy.id, tags)
        return copy.id

    def deregister(self, ami_id: AmiId) -> tuple[str, ...]:
        gone = self._own.pop(self.get(ami_id).id)
        stays = {snapshot for ami in self._own.values() for snapshot in ami.snapshot_ids}
        return tuple(snapshot for snapshot in gone.snapshot_ids if snapshot in stays)


def _record(ami_id: AmiId, name: str, *, number: int, architecture: str = "x86_64") -> AmiRecord:
    return AmiRecord(
        id=ami_id,
        name=name,
        state=AmiState.AVAILABLE,
        state_reason="",
        created=f"2026-01-01T00:{number:02d}:00.000Z",
        architecture=architecture,
        snapshot_ids=(f"snap-{number:017x}",),
        size_gib=30,
        tags={},
    )
