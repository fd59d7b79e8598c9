"""What EC2's descriptions of snapshots tell, and how much one of its filters takes."""

import pytest

from lifecycle.adapters.aws.filters import batches
from lifecycle.adapters.aws.snapshot_origin import ami_of, instance_of

INSTANCE, AMI = "i-0123456789abcdef0", "ami-0123456789abcdef0"


@pytest.mark.parametrize(
    ("description", "instance", "ami"),
    [
        (f"Created by CreateImage({INSTANCE}) for {AMI}", INSTANCE, AMI),
        (f"Created by CreateImage({INSTANCE}) for {AMI} from vol-0123456789abcdef0", INSTANCE, AMI),
        (f"Created by CreateImage({INSTANCE})", INSTANCE, ""),
        (f"Copied for DestinationAmi {AMI} from SourceAmi ami-1 for SourceSnapshot snap-1.", "", AMI),
        (f"what was Created by CreateImage({INSTANCE}) for {AMI}", "", ""),
        ("", "", ""),
    ],
)
def test_description_names_what_a_snapshot_was_made_with(description: str, instance: str, ami: str) -> None:
    assert (instance_of(description), ami_of(description)) == (instance, ami)


@pytest.mark.parametrize(("number", "sizes"), [(0, []), (1, [1]), (200, [200]), (401, [200, 200, 1])])
def test_values_are_asked_in_lists_that_one_filter_takes(number: int, sizes: list[int]) -> None:
    values = [f"snap-{each}" for each in range(number)]
    found = list(batches([*values, *values]))
    assert [len(batch) for batch in found] == sizes
    assert sorted(values) == [one for batch in found for one in batch]
