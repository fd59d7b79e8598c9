"""`ports.ContractFile` in memory."""


class FakeContractFile:
    """Not written at first."""

    name = "models/runtime/contract.json"

    def __init__(self) -> None:
        self._content: bytes | None = None

    def read(self) -> bytes | None:
        return self._content

    def write(self, content: bytes) -> None:
        self._content = content
