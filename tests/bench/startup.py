"""What the command line costs before it does anything."""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.timing import in_turns, run

ROUNDS = 15
CLICK_BOUND = 1.4
AWS_BOUND = 0.4
CAPCTL = str(Path(sys.executable).with_name("capctl"))


def startup_figures() -> list[Figure]:
    """`capctl --help` beside the floor of a click program and beside the AWS CLI."""
    return [_beside_click(), _beside_aws()]


def _beside_click() -> Figure:
    pair = in_turns(partial(run, CAPCTL, "--help"), partial(run, sys.executable, "-c", "import click"), rounds=ROUNDS)
    return Figure(
        name="`capctl --help` / `python -c 'import click'`",
        measured=f"{pair.ratio:.2f} ({pair.first_s * 1e3:.0f} ms / {pair.second_s * 1e3:.0f} ms)",
        bound=f"<= {CLICK_BOUND}",
        met=pair.ratio <= CLICK_BOUND,
    )


def _beside_aws() -> Figure:
    name, bound = "`capctl --help` / `aws --version`", f"<= {AWS_BOUND}"
    aws = _aws()
    if aws is None:
        return Figure(name=name, measured="`aws` is not installed", bound=bound)
    pair = in_turns(partial(run, CAPCTL, "--help"), partial(run, aws, "--version"), rounds=ROUNDS)
    version = run(aws, "--version").split()[0]
    return Figure(
        name=name,
        measured=f"{pair.ratio:.2f} ({pair.first_s * 1e3:.0f} ms / {pair.second_s * 1e3:.0f} ms, {version}{_without_shim(aws)})",
        bound=bound,
        met=pair.ratio <= AWS_BOUND,
    )


def _aws() -> str | None:
    """The AWS CLI; behind a shim of pyenv, which would cost more than the program, the program itself."""
    found = shutil.which("aws")
    if found and Path(found).parent.name == "shims" and shutil.which("pyenv"):
        behind = subprocess.run(["pyenv", "which", "aws"], capture_output=True, text=True, check=False)
        return behind.stdout.strip() or None
    return found


def _without_shim(aws: str) -> str:
    return ", without pyenv's shim" if aws != shutil.which("aws") else ""
