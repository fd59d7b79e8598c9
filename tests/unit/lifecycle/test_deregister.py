"""What becomes of an AMI's snapshots is told one by one, and what EC2 says of each is believed."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifecycle.adapters.aws.deregister import deregister
from lifecycle.errors import CapctlError, PartlyApplied

AMI = "ami-0123456789abcdef0"


class FakeEc2:
    """Answers a removal with `results`, by snapshot; `refused` are the codes of the calls that fail, by id."""

    def __init__(self, results: dict[str, str] | None = None, **refused: str) -> None:
        self.results, self.refused = results or {}, refused
        self.deleted: list[str] = []

    def deregister_image(self, *, ImageId: str, DeleteAssociatedSnapshots: bool) -> dict[str, Any]:  # noqa: N803 - boto3's names
        assert DeleteAssociatedSnapshots
        self._refuse("ami")
        return {
            "DeleteSnapshotResults": [{"SnapshotId": one, "ReturnCode": code} for one, code in self.results.items()]
        }

    def delete_snapshot(self, *, SnapshotId: str) -> None:  # noqa: N803 - boto3's name
        self._refuse(SnapshotId)
        self.deleted.append(SnapshotId)

    def _refuse(self, what: str) -> None:
        if code := self.refused.get(what):
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "Any")


def test_snapshots_that_ec2_deleted_are_not_deleted_again() -> None:
    ec2 = FakeEc2({"a": "success", "b": "success"})
    assert (deregister(ec2, AMI, ["a", "b"]), ec2.deleted) == ((), [])


@pytest.mark.parametrize("code", ["missing-permissions", "internal-error", "client-error", "a-new-word"])
def test_snapshot_that_ec2_could_not_delete_is_deleted(code: str) -> None:
    ec2 = FakeEc2({"a": "success", "b": code})
    assert (deregister(ec2, AMI, ["a", "b", "c"]), ec2.deleted) == ((), ["b", "c"])


def test_snapshot_of_another_ami_stays_and_is_returned() -> None:
    ec2 = FakeEc2({"a": "skipped"}, b="InvalidSnapshot.InUse")
    assert (deregister(ec2, AMI, ["a", "b"]), ec2.deleted) == (("a", "b"), [])


def test_ami_that_is_gone_already_leaves_its_snapshots_to_be_deleted() -> None:
    ec2 = FakeEc2(ami="InvalidAMIID.Unavailable", a="InvalidSnapshot.NotFound")
    assert (deregister(ec2, AMI, ["a", "b"]), ec2.deleted) == ((), ["b"])


def test_snapshot_that_cannot_be_deleted_is_told_after_the_others_were() -> None:
    ec2 = FakeEc2({"a": "missing-permissions", "b": "internal-error"}, a="UnauthorizedOperation")
    with pytest.raises(PartlyApplied) as failed:
        deregister(ec2, AMI, ["a", "b"])
    assert (failed.value.code, ec2.deleted) == ("snapshot-left", ["b"])
    assert "`a`" in failed.value.message


def test_protected_ami_is_an_error_and_keeps_its_snapshots() -> None:
    ec2 = FakeEc2(ami="OperationNotPermitted")
    with pytest.raises(CapctlError):
        deregister(ec2, AMI, ["a"])
    assert ec2.deleted == []
