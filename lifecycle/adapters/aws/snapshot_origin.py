"""What EC2 writes into the description of a snapshot that it makes with an AMI."""

import re

_CREATED = re.compile(r"Created by CreateImage\((i-\w+)\)(?: for (ami-\w+))?")
_COPIED = re.compile(r"Copied for DestinationAmi (ami-\w+)(?: from SourceAmi (ami-\w+))?")


def instance_of(description: str) -> str:
    """The instance whose disk it is, and "" for a snapshot that EC2 made of none."""
    created = _CREATED.match(description)
    return created[1] if created else ""


def ami_of(description: str) -> str:
    """The AMI that EC2 made it for, and "" where EC2 made it for none."""
    created, copied = _CREATED.match(description), _COPIED.match(description)
    return (created and created[2]) or (copied and copied[1]) or ""


def source_of(description: str) -> str:
    """The AMI that EC2 copied it from, and "" for a snapshot of no copy."""
    copied = _COPIED.match(description)
    return (copied and copied[2]) or ""
