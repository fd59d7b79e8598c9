"""What `capctl image` prints."""

from pathlib import Path

import click
import pytest

from lifecycle.app import App
from lifecycle.cli.context import Invocation
from lifecycle.cli.image import command
from lifecycle.errors import CapctlError
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi


@pytest.fixture
def ports() -> FakePorts:
    return FakePorts()


@pytest.fixture
def invocation(ports: FakePorts, tmp_path: Path) -> Invocation:
    app = App(make_target(tmp_path), FakeUi())
    app.__dict__ |= {"registry": ports.registry, "base_builder": ports.base_builder, "code": ports.code}
    made = Invocation(config=Path("capctl.yaml"), target=None, output="text", verbosity=0)
    made.__dict__ |= {"terminal": app.ui, "app": app, "run": RUN}
    return made


def _run(invocation: Invocation, *words: str) -> None:
    assert isinstance(command, click.Group)
    command.main(list(words), standalone_mode=False, obj=invocation)


def test_base_is_printed_by_digest_built_or_not(
    invocation: Invocation, ports: FakePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        _run(invocation, "base")
    assert capsys.readouterr().out == f"{ports.base_builder.build().ref}\n" * 2
    assert ports.base_builder.builds == 1


def test_verify_says_that_no_rule_is_broken(
    invocation: Invocation, ports: FakePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    ports.base_builder.build()
    _run(invocation, "push")
    capsys.readouterr()
    _run(invocation, "verify")
    assert capsys.readouterr().out.splitlines()[-1] == "ok: no rule is broken"


def test_verify_of_an_image_that_breaks_a_rule_prints_its_sizes_and_fails(
    invocation: Invocation, ports: FakePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    ports.base_builder.build()
    ports.code.files["a.onnx"] = "weights"
    ref = ports.code.push().ref
    with pytest.raises(CapctlError) as failed:
        _run(invocation, "verify", str(ref))
    assert failed.value.code == "image-rejected"
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(ref)
    assert lines[-1].startswith("unpacked")
