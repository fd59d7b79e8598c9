"""The fakes, and the application, are the ports; mypy reads this file and compares every signature."""

from pathlib import Path

import pytest

from lifecycle.app import App
from lifecycle.ports import Ports
from tests.fakes.ports import FakePorts
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi

FAKES: Ports = FakePorts()
APPLICATION: Ports = App(make_target(Path()), FakeUi())


@pytest.mark.parametrize("ports", [FAKES, APPLICATION], ids=["fakes", "application"])
def test_every_port_is_there(ports: Ports) -> None:
    assert {name for name in vars(Ports) if not name.startswith("_")} <= set(dir(ports))
