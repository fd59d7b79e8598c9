"""`ports.ModelLock` in memory."""

from lifecycle.domain.models import ModelSet


class FakeModelLock:
    """Not locked at first."""

    name = "models.lock.yaml"

    def __init__(self) -> None:
        self._models: ModelSet | None = None

    def read(self) -> ModelSet | None:
        return self._models

    def write(self, models: ModelSet) -> None:
        self._models = models
