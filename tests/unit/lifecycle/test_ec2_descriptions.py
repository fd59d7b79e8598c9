"""Which snapshots EC2 made for an AMI, by what it wrote into their descriptions."""

import pytest

from lifecycle.adapters.aws.descriptions import MadeFor, made_for

CREATED = "Created by CreateImage(i-0123456789abcdef0) for ami-0123456789abcdef0"


@pytest.mark.parametrize("more", ["", " from vol-0123456789abcdef0"])
def test_snapshot_of_a_new_ami_tells_the_ami_and_its_instance(more: str) -> None:
    assert made_for(CREATED + more) == MadeFor(ami_id="ami-0123456789abcdef0", instance_id="i-0123456789abcdef0")


@pytest.mark.parametrize("more", ["", " for SourceSnapshot snap-3. Task created on 1,552,330,000,000."])
def test_snapshot_of_a_copied_ami_tells_the_copy_and_its_source(more: str) -> None:
    assert made_for(f"Copied for DestinationAmi ami-1 from SourceAmi ami-2{more}") == MadeFor(
        ami_id="ami-1", source_ami="ami-2"
    )


@pytest.mark.parametrize(
    "text", ["", f"[Copied snap-0123456789abcdef0 from us-east-1] {CREATED}", f"{CREATED}, the good one", "backup"]
)
def test_snapshot_that_somebody_made_or_copied_by_hand_is_of_no_ami(text: str) -> None:
    assert made_for(text) is None
