"""The root command: its groups, its options, its suggestions."""

import click
import pytest

from lifecycle.cli.main import COMMANDS, root
from tests.dev.pages import asking, command_helps
from tests.golden import assert_golden
from tests.unit.lifecycle.conftest import Capctl

PRESENT = list(COMMANDS)


def _command(name: str) -> click.Command:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    return command


@pytest.mark.parametrize("name", PRESENT)
def test_the_help_in_the_table_is_the_commands_own(name: str) -> None:
    assert _command(name).get_short_help_str(limit=200) == COMMANDS[name][1]


def test_every_command_and_option_has_help() -> None:
    def check(command: click.Command, path: str) -> None:
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.hidden or parameter.help, f"{path} {parameter.opts}"
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                check(below, f"{path} {name}")

    for name in PRESENT:
        check(_command(name), name)


@pytest.mark.parametrize("path", command_helps())
def test_help_of_every_command(path: str) -> None:
    assert_golden(f"help-{path.replace(' ', '-')}.txt", command_helps()[path] + "\n")


def test_what_takes_away_gives_to_others_or_moves_jobs_asks_and_nothing_else_does() -> None:
    assert asking() == [
        "capctl ami deprecate",
        "capctl ami disable",
        "capctl ami promote",
        "capctl ami prune",
        "capctl ami share",
        "capctl ami sweep",
        "capctl image prune",
        "capctl deploy",
        "capctl release",
        "capctl rollback",
        "capctl job cancel",
        "capctl job move",
    ]


def test_a_mistyped_command_gets_a_near_name(capctl: Capctl) -> None:
    assert_golden("command-unknown.txt", str(capctl("cofnig")))


def test_a_mistyped_command_of_a_group_gets_a_near_name(capctl: Capctl) -> None:
    assert_golden("command-of-group-unknown.txt", str(capctl("config", "shwo")))


def test_a_mistyped_option_is_a_usage_error_in_json_too(capctl: Capctl) -> None:
    assert_golden("option-unknown.txt", str(capctl("-o", "json", "config", "show", "--orgins")))


@pytest.mark.parametrize(
    "words",
    [
        ("config", "show", "--orgins", "-o", "json"),
        ("config", "show", "--orgins", "-ojson"),
        ("config", "show", "--orgins", "--output=json", "--"),
        ("config", "show", "-vo", "json", "--config"),
    ],
)
def test_a_command_line_that_cannot_be_parsed_is_answered_in_the_form_it_asks_for(
    words: tuple[str, ...], capctl: Capctl
) -> None:
    assert '"code": "usage"' in capctl(*words).out


def test_without_a_command_the_help_goes_to_stderr(capctl: Capctl) -> None:
    outcome = capctl()
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: capctl")


def test_version(capctl: Capctl) -> None:
    assert capctl("--version").out.startswith("capctl 0.")


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "json", "config", "check"),
        ("config", "-o", "json", "check"),
        ("config", "check", "-o", "json"),
        ("config", "check", "--output=json"),
    ],
)
def test_root_options_may_stand_before_or_after_the_command(words: tuple[str, ...], capctl: Capctl) -> None:
    capctl("init", "--account", "012345678901")
    assert '"schema": "capctl.config-check/1"' in capctl(*words).out


def test_an_option_after_the_command_wins(capctl: Capctl) -> None:
    assert "`there.yaml`" in capctl("--config", "here.yaml", "config", "check", "--config", "there.yaml").err


def test_root_options_come_from_the_environment(capctl: Capctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPCTL_CONFIG", "there.yaml")
    monkeypatch.setenv("CAPCTL_OUTPUT", "json")
    outcome = capctl("config", "check")
    assert "`there.yaml`" in outcome.err
    assert '"code": "config-missing"' in outcome.out


def test_completion_names_the_commands(capctl: Capctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_CAPCTL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "capctl config ")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert {"plain,show", "plain,check", "plain,schema"} <= set(capctl().out.split())
