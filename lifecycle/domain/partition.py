"""The parts of AWS that know nothing of each other: where a region is, what ARNs and host names look like there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """`name` as ARNs have it, `domain` as the end of host names and of some names of services."""

    name: str
    domain: str


_COMMERCIAL = Partition(name="aws", domain="amazonaws.com")
_BY_BEGINNING = {
    "cn-": Partition(name="aws-cn", domain="amazonaws.com.cn"),
    "eu-isoe-": Partition(name="aws-iso-e", domain="cloud.adc-e.uk"),
    "eusc-": Partition(name="aws-eusc", domain="amazonaws.eu"),
    "us-gov-": Partition(name="aws-us-gov", domain="amazonaws.com"),
    "us-iso-": Partition(name="aws-iso", domain="c2s.ic.gov"),
    "us-isob-": Partition(name="aws-iso-b", domain="sc2s.sgov.gov"),
    "us-isof-": Partition(name="aws-iso-f", domain="csp.hci.ic.gov"),
}


def partition_of(region: str) -> Partition:
    """By the beginning of the region's name, without asking AWS."""
    return next((found for beginning, found in _BY_BEGINNING.items() if region.startswith(beginning)), _COMMERCIAL)
