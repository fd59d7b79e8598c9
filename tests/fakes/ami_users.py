"""`ports.AmiUsers` in memory."""

from collections.abc import Mapping, Sequence

from lifecycle.domain.ami import AmiId
from lifecycle.domain.usage import Unread, Use, UseReport


class FakeAmiUsers:
    """What tests put there. `scans` counts; `later` are uses that the scan of that number finds for the first time."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.unread: list[Unread] = []
        self.later: dict[int, Use] = {}
        self.named: dict[str, tuple[AmiId, ...]] = {}
        self.scans = 0

    def scan(self, *, template_versions: int) -> UseReport:
        self.scans += 1
        self.uses += [use for number, use in self.later.items() if number == self.scans]
        return UseReport(uses=tuple(self.uses), unread=tuple(self.unread))

    def channels(self, project: str) -> Mapping[str, Sequence[AmiId]]:
        return self.named
