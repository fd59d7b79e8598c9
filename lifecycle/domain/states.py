"""The words in which a service tells the state of what it keeps."""

from enum import StrEnum
from typing import Self


class ServiceState(StrEnum):
    """States in a service's own words; a word that it has learnt since reads as the member `UNKNOWN`, which each kind has."""

    @classmethod
    def _missing_(cls, value: object) -> Self:  # noqa: ARG003 - what Enum calls with a value that it does not know
        return cls["UNKNOWN"]
