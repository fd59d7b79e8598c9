"""What EC2 writes into the description of a snapshot that it makes for an AMI."""

import re
from dataclasses import dataclass

# The whole of it: who copies a snapshot by hand keeps the words of the original behind others, and the copy is of no AMI.
_CREATED = re.compile(r"Created by CreateImage\((?P<instance>i-\w+)\) for (?P<ami>ami-\w+)(?: from vol-\w+)?")
_COPIED = re.compile(
    r"Copied for DestinationAmi (?P<ami>ami-\w+) from SourceAmi (?P<source>ami-\w+)"
    r"(?: for SourceSnapshot snap-\w+\.?)?(?: Task created on [\d,.]+)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFor:
    """The AMI that a snapshot was made for, and the instance or, of a copy, the AMI that it was made from; else ""."""

    ami_id: str
    instance_id: str = ""
    source_ami: str = ""


def made_for(description: str) -> MadeFor | None:
    """None for a snapshot that EC2 made for no AMI."""
    if found := _CREATED.fullmatch(description):
        return MadeFor(ami_id=found["ami"], instance_id=found["instance"])
    found = _COPIED.fullmatch(description)
    return MadeFor(ami_id=found["ami"], source_ami=found["source"]) if found else None
