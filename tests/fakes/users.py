"""`ports.AmiUsers` and `ports.ImageUsers` in memory."""

from lifecycle.domain.usage import Unread, Use, UseReport


class FakeUsers:
    """What tests put there. `scans` counts; `later` are uses that the scan of that number finds for the first time."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.unread: list[Unread] = []
        self.later: dict[int, Use] = {}
        self.scans = 0

    def scan(self, *, template_versions: int) -> UseReport:
        self.scans += 1
        self.uses += [use for number, use in self.later.items() if number == self.scans]
        return UseReport(uses=tuple(self.uses), unread=tuple(self.unread))
