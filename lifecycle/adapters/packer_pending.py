"""An AMI that EC2 has not finished when its bake ends: kept, so that the next bake goes on with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lifecycle.adapters.aws.descriptions import snapshots_of
from lifecycle.adapters.aws.errors import translated
from lifecycle.domain.ami_status import AmiState
from lifecycle.errors import CapctlError, Interrupted, TimedOut

_GAVE_UP = {"ami-pending", "bake-timed-out"}


def keep_unfinished(
    ec2: Any, ami_ids: set[str], tags: dict[str, str], error: CapctlError, *, warn: Callable[[str], None]
) -> CapctlError:
    """Take out of `ami_ids`, which go with the leftovers of the bake that `error` ended, those that shall stay.

    AWS may need hours for a snapshot whose content was accepted before; only who interrupts a bake wants it gone. An old Packer has
    not tagged the AMI yet: this does, or `--force` would not find it again.

    Returns the error to end with: `error`, or `TimedOut("ami-pending")` for one that says no more than that the time was over.
    """
    if not ami_ids or isinstance(error, Interrupted):
        return error
    named = sorted(ami_ids)
    ami_ids.clear()  # while EC2 does not answer, all of them stay
    try:
        with translated(f"looking whether AMI `{named[0]}` is pending"):
            images = ec2.describe_images(Owners=["self"], Filters=[{"Name": "image-id", "Values": named}])["Images"]
        staying = [image for image in images if _stays(image.get("State", ""), error)]
        ami_ids |= {image["ImageId"] for image in images if image not in staying}
        error = _told(staying[0]["ImageId"], error) if staying else error
        for image in staying:
            with translated(f"tagging AMI `{image['ImageId']}`"):
                resources = [image["ImageId"], *snapshots_of(image)]
                ec2.create_tags(Resources=resources, Tags=[{"Key": key, "Value": tags[key]} for key in tags])
    except Interrupted:
        raise
    except CapctlError as failed:
        warn(f"{failed.message}; AMI `{named[0]}` stays: remove it by hand unless the next bake goes on with it")
    return error


def _stays(state: str, error: CapctlError) -> bool:
    # It may have become available in the moment after the time was over.
    return state == AmiState.PENDING or (state == AmiState.AVAILABLE and error.code in _GAVE_UP)


def _told(ami_id: str, error: CapctlError) -> CapctlError:
    if error.code == "ami-pending":
        return error
    if error.code == "bake-timed-out":
        return TimedOut(
            "ami-pending",
            f"{error.message}: AWS has not finished AMI `{ami_id}`",
            hint="Run the same command again; it goes on waiting and bakes nothing anew",
            details=error.details,
        )
    stays = f"AMI `{ami_id}` is still pending and stays: the same command goes on with it"
    return type(error)(error.code, error.message, hint=error.hint, details=(*error.details, stays))
