"""Deploys that break, or are killed, at a call."""

import pytest

from tests.fakes.deploys import DeployWorld


def break_at(world: DeployWorld, monkeypatch: pytest.MonkeyPatch, port: str, method: str, error: BaseException) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(getattr(world.ports, port), method, fail)


class Killed(BaseException):
    """What no handler sees, as a SIGKILL."""


def kill_at(world: DeployWorld, port: str, method: str, *, time: int = 1) -> None:
    """Deploy until a call is made for that time, after which nothing more is written."""
    with pytest.MonkeyPatch.context() as patch:
        call, times = getattr(getattr(world.ports, port), method), iter(range(1, time))

        def die(*given: object, **named: object) -> object:
            if next(times, None):
                return call(*given, **named)
            break_at(world, patch, "deployments", "write", Killed())
            raise Killed

        patch.setattr(getattr(world.ports, port), method, die)
        with pytest.raises(Killed):
            world.deploy()
