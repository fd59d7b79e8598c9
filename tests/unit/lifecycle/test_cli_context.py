"""What a command gets."""

import json
from contextlib import nullcontext
from pathlib import Path

import click
import pytest

from lifecycle.app import App
from lifecycle.cli.boundary import render_error, run_command_line
from lifecycle.cli.context import Declined, Invocation, dry_run_option, pass_invocation, reason_option, yes_option
from lifecycle.cli.main import root
from lifecycle.domain.plan import Plan
from lifecycle.errors import UsageError
from tests.dev.pages import asking
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi


class Noted:
    """A step that changes nothing."""

    permissions: tuple[str, ...] = ()

    def describe(self) -> str:
        return "note it"

    def apply(self) -> str:
        return "noted"

    def verify(self, _: str) -> None:
        """There is nothing to read back."""


@pytest.fixture
def invocation(folder: Path) -> Invocation:
    return Invocation()


def test_text_is_made_only_when_it_is_printed(invocation: Invocation, capsys: pytest.CaptureFixture[str]) -> None:
    invocation.output = "json"
    invocation.emit("capctl.thing/1", {"name": "ü"}, lambda: pytest.fail("no text was asked for"))
    assert json.loads(capsys.readouterr().out) == {"schema": "capctl.thing/1", "name": "ü"}


def test_an_empty_result_prints_no_line(invocation: Invocation, capsys: pytest.CaptureFixture[str]) -> None:
    invocation.emit("capctl.thing/1", {}, "")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("words", "agreed"), [(["--yes"], True), (["-y"], True), ([], False), (["--dry-run"], True)])
def test_yes_answers_the_commands_questions(words: list[str], agreed: bool, invocation: Invocation) -> None:
    @click.command()
    @dry_run_option
    @yes_option
    @pass_invocation
    def command(invocation: Invocation, dry_run: bool) -> None:
        assert dry_run or invocation.terminal.confirm("Delete?")
        reached.append("here")

    reached: list[str] = []
    with nullcontext() if agreed else pytest.raises(UsageError):
        command.main(words, standalone_mode=False, obj=invocation)
    assert bool(reached) is agreed


PLAN = Plan(title="roll back to release a", because="b was active before a", steps=(Noted(),))


@pytest.mark.parametrize("answer", [True, False])
def test_plan_and_target_are_shown_before_the_question(invocation: Invocation, folder: Path, answer: bool) -> None:
    ui = FakeUi(answers=(answer,))
    invocation.__dict__ |= {"terminal": ui, "app": App(make_target(folder), ui), "run": RUN}
    if answer:
        assert invocation.execute(PLAN, ask=True)
    else:
        with pytest.raises(Declined) as failed:
            invocation.execute(PLAN, ask=True)
        assert failed.value.exit_code == 1
        assert render_error(failed.value) == "Nothing was changed on target `test`"
    assert ui.lines[:2] == [
        PLAN.render(),
        "Roll back to release a on target `test` (account 123456789012, region us-west-2)?",
    ]
    assert ui.lines[2:] == (["✓ note it: noted"] if answer else [])


def test_nothing_is_asked_when_nothing_is_to_be_done(invocation: Invocation, folder: Path) -> None:
    ui = FakeUi()
    invocation.__dict__ |= {"terminal": ui, "app": App(make_target(folder), ui), "run": RUN}
    assert invocation.execute(Plan(title="roll back to release a", because="it is active already"), ask=True)
    assert ui.lines == ["roll back to release a: it is active already"]


def test_reason_is_the_run_s(invocation: Invocation) -> None:
    @click.command()
    @reason_option
    @pass_invocation
    def command(invocation: Invocation) -> None:
        assert invocation.run.reason == "it is late"

    command.main(["--reason", "it is late"], standalone_mode=False, obj=invocation)


def test_the_application_is_made_from_the_configuration(invocation: Invocation, folder: Path) -> None:
    (folder / "capctl.yaml").write_text(
        'project: shop\ntargets: {dev: {account: "012345678901", region: eu-central-1}}\n'
    )
    with click.Context(click.Command("status"), info_name="capctl status"):
        app = invocation.app
    assert app.target.name == "dev"
    assert isinstance(app, App)
    assert app.session.app_id == "capctl.status"
    assert app.ui is invocation.terminal


WORDS = {"AMI": "ami-1", "[AMI]": "ami-1", "RELEASE": "0123456789ab", "ID": "00000000-0000-4000-8000-000000000001"}
ALSO = {"ami promote": ["--to", "stable"], "ami prune": ["--apply"], "image prune": ["--apply"]}


@pytest.mark.parametrize("name", [name.removeprefix("capctl ") for name in asking()])
def test_what_asks_fails_before_it_reads_anything_where_nobody_would_answer(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = click.Context(root, info_name="capctl")
    command: click.Command = root
    for word in name.split():
        assert isinstance(command, click.Group)
        found = command.get_command(context, word)
        assert found
        command = found
    arguments = [WORDS[one.make_metavar(context)] for one in command.params if isinstance(one, click.Argument)]
    words = [*name.split(), *arguments, *ALSO.get(name, [])]
    # There is no capctl.yaml yet, so that not even the configuration was read.
    assert run_command_line(root, words, Invocation()) == 2
    assert "error[confirmation-needed]" in capsys.readouterr().err
    assert run_command_line(root, [*words, "--dry-run"], Invocation()) == 2
    assert "error[config-missing]" in capsys.readouterr().err
