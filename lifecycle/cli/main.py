"""The `capctl` command: its groups, and the boundary where errors become messages and exit codes."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from lifecycle.cli.context import Invocation
from lifecycle.errors import CapctlError, ExitCode

# name -> (module, one-line help). The help stands here so that `capctl --help` imports no command; a test compares the two.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("lifecycle.cli.init", "Write a commented capctl.yaml."),
    "config": ("lifecycle.cli.config", "Show and check the configuration."),
    "bootstrap": ("lifecycle.cli.bootstrap", "Create or update the base stack of the target."),
    "models": ("lifecycle.cli.models", "Lock, check and upload the model set."),
    "ami": ("lifecycle.cli.ami", "Bake and check AMIs."),
    "image": ("lifecycle.cli.image", "Build, push and check container images."),
    "deploy": ("lifecycle.cli.deploy", "Create a release, smoke it, move the pointer."),
    "smoke": ("lifecycle.cli.smoke", "Run a real job on a release and check what it did."),
    "rollback": ("lifecycle.cli.rollback", "Move the pointer back to an earlier release."),
    "status": ("lifecycle.cli.status", "Show the pointer, the releases and their queues."),
    "job": ("lifecycle.cli.job", "Submit and follow jobs."),
    "rehearse": ("lifecycle.cli.rehearse", "Run the whole life of a release on this machine."),
}


class Root(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "CAPCTL"})
@click.option(
    "--config", type=click.Path(path_type=Path), default="capctl.yaml", show_default=True, help="Configuration file."
)
@click.option("--target", help="Target to act in.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the result on stdout.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the result, warnings and errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print details.")
@click.version_option(package_name="capctl", prog_name="capctl")
@click.pass_context
def root(ctx: click.Context, config: Path, target: str | None, output: str, quiet: bool, verbose: bool) -> None:
    """Ship a GPU job to AWS Batch: models in an AMI, code in an image, releases with proof."""
    ctx.obj = Invocation(config=config, target=target, output=output, verbosity=-1 if quiet else int(verbose))
