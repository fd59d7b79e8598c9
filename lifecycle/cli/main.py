"""The `capctl` command: its groups, and where their modules are."""

from __future__ import annotations

import atexit
import gc
import sys
from importlib import import_module
from typing import NoReturn

import click

from lifecycle.cli.boundary import run_command_line
from lifecycle.cli.context import accept_root_options, root_options
from lifecycle.cli.groups import SuggestingGroup
from lifecycle.errors import EXIT_CODES

# name -> (module, one-line help). The help stands here so that `capctl --help` imports no command; a test compares the two.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("lifecycle.cli.init", "Write a commented capctl.yaml."),
    "config": ("lifecycle.cli.config", "Show and check the configuration."),
    "bootstrap": ("lifecycle.cli.bootstrap", "Create or update the base stack of the target."),
    "models": ("lifecycle.cli.models", "Lock, check and upload the model set."),
    "ami": ("lifecycle.cli.ami", "Bake, verify, promote, copy, share and remove AMIs."),
    "image": ("lifecycle.cli.image", "Build, push and check container images."),
    "deploy": ("lifecycle.cli.deploy", "Create a release, run a real job on it, move the pointer to it."),
    "release": ("lifecycle.cli.release", "Bake if the models changed, push the code, deploy both: what CI calls."),
    "smoke": ("lifecycle.cli.smoke", "Run a real job on a release and check what it did."),
    "rollback": ("lifecycle.cli.rollback", "Move the pointer back to an earlier release."),
    "status": (
        "lifecycle.cli.status",
        "Show the pointer, the releases with their queues and jobs, and the last changes made from here.",
    ),
    "history": (
        "lifecycle.cli.history",
        "Show what was deployed and rolled back when, by whom, and what became of it.",
    ),
    "drift": ("lifecycle.cli.drift", "Compare what was deployed with what there is."),
    "job": ("lifecycle.cli.job", "Submit and follow jobs."),
    "rehearse": ("lifecycle.cli.rehearse", "Run the whole life of a release, or another scene, on this machine."),
}

_CODES = "\n".join(f"  {int(code):>3}  {meaning}" for code, meaning in EXIT_CODES.items())
_EPILOG = f"""\b
Exit codes:
{_CODES}

\b
Completion: eval "$(_CAPCTL_COMPLETE=bash_source capctl)"   (or zsh_source, fish_source)"""


class Root(SuggestingGroup):
    """A group whose commands are imported when they are used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        accept_root_options(command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
    params=[*root_options(at_root=True)],
)
@click.version_option(
    package_name="capctl", prog_name="capctl", message="%(prog)s %(version)s", help="Show the version and exit."
)
def root() -> None:
    """Ship a GPU job to AWS Batch: models in an AMI, code in an image, releases with proof.

    The options below may stand before or after the command.
    """


def main() -> NoReturn:
    """The console script."""
    # A command lives for a moment, imports much and reads the descriptions of AWS's services: looking for garbage among what stays costs
    # an eighth of a code push, and of the start of every command that asks AWS.
    gc.set_threshold(400_000)
    atexit.register(gc.freeze)
    sys.exit(run_command_line(root, sys.argv[1:]))
