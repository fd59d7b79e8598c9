"""What capctl adds to the programs that an AMI is made with: `sha256sum` to lock its models, `packer build` to bake it."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from shlex import quote

import packer
from lifecycle.adapters.terminal import TerminalUi
from lifecycle.domain.tags import Tag
from lifecycle.rehearsal.stage import Stage, open_stage
from tests.bench.figures import Figure
from tests.bench.startup import CAPCTL
from tests.bench.timing import in_both_orders, run

BAKE_ROUNDS = 3
# With which the models weigh about as much as those that a team bakes; the rehearsal's own are so few that a bake lasts as long as
# any AWS program takes to start.
PAYLOAD_BYTES = 1000 * 10**6
HASH_ROUNDS = 3
OVERHEAD_SHARE, OVERHEAD_S = 0.1, 0.3
HASH_BOUND = 0.9
MEGABYTE = 10**6
# Bytes of the files of a set, 1 GB each; the largest has the last name.
SETS = {
    "8 files of 125 MB": [125 * MEGABYTE] * 8,
    "one file of 600 MB after 8 of 50 MB": [*[50 * MEGABYTE] * 8, 600 * MEGABYTE],
}


def ami_figures() -> list[Figure]:
    """Lock sets beside `sha256sum`; then bring a stage up and bake on it beside Packer."""
    figures = [_beside_sha256sum(name, sizes) for name, sizes in SETS.items()]
    with open_stage(TerminalUi(verbosity=-1, assume_yes=True)) as stage:
        run(CAPCTL, "bootstrap", environment=stage.environment)
        figures.append(_beside_packer(stage, "121 MB of models", is_bound=False))
        _write_file(stage.project.folder / "models" / "checkpoints" / "payload.bin", PAYLOAD_BYTES)
        figures.append(_beside_packer(stage, "1 GB more", is_bound=True))
    return figures


def _beside_sha256sum(name: str, sizes: list[int]) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        paths = _write_set(Path(folder), sizes)
        # Largest first, which serves `sha256sum` best too.
        listed = "\n".join(sorted(paths, key=lambda path: paths[path], reverse=True))
        script = f"printf '%s\\n' {quote(listed)} | xargs -P {os.cpu_count()} -n 1 sha256sum"
        pair = in_both_orders(
            partial(run, "sh", "-c", script),
            partial(run, CAPCTL, "--config", f"{folder}/capctl.yaml", "models", "lock"),
            rounds=HASH_ROUNDS,
        )
    return Figure(
        name=f"throughput of `capctl models lock` / `sha256sum` on all cores, {name}",
        measured=f"{pair.ratio:.2f} ({sum(sizes) / pair.second_s / 1e9:.2f} GB/s / {sum(sizes) / pair.first_s / 1e9:.2f} GB/s)",
        bound=f">= {HASH_BOUND}",
        met=pair.ratio >= HASH_BOUND,
    )


def _write_set(folder: Path, sizes: list[int]) -> dict[str, int]:
    """A project whose models have these sizes; returns them by path. What was just written is in the page cache."""
    (folder / "capctl.yaml").write_text(
        'schema: capctl.config/1\nproject: bench\ntargets: {bench: {account: "123456789012", region: us-west-2}}\n'
    )
    (folder / "models" / "models").mkdir(parents=True)
    paths = {folder / "models" / "models" / f"{number}.onnx": size for number, size in enumerate(sizes)}
    for path, size in paths.items():
        _write_file(path, size)
    return {str(path): size for path, size in paths.items()}


def _write_file(path: Path, size: int) -> None:
    block = os.urandom(MEGABYTE)
    with path.open("wb") as file:
        for _ in range(size // MEGABYTE):
            file.write(block)


def _beside_packer(stage: Stage, what: str, *, is_bound: bool) -> Figure:
    for words in (("models", "lock"), ("models", "push")):
        run(CAPCTL, *words, environment=stage.environment)
    with _kept_variables(stage) as variables:
        pair = in_both_orders(
            partial(run, CAPCTL, "ami", "bake", "--force", environment=stage.environment),
            _packer_build(stage, variables),
            rounds=BAKE_ROUNDS,
        )
    overhead_s = pair.first_s - pair.second_s
    bound_s = max(OVERHEAD_SHARE * pair.second_s, OVERHEAD_S)
    return Figure(
        name=f"`capctl ami bake` - `packer build` of the same template with the same variables, {what}",
        measured=f"{overhead_s:.2f} s, {overhead_s / pair.second_s:.0%} ({pair.first_s:.2f} s / {pair.second_s:.2f} s)",
        bound=f"<= {OVERHEAD_SHARE:.0%} or {OVERHEAD_S} s" if is_bound else "none",
        met=overhead_s <= bound_s if is_bound else None,
    )


@contextmanager
def _kept_variables(stage: Stage) -> Iterator[Path]:
    """The folder of variables, and of the files that they name, which one bake of capctl gives to Packer."""
    with tempfile.TemporaryDirectory() as folder:
        real, shim, kept = (
            shutil.which("packer", path=stage.environment["PATH"]),
            Path(folder, "packer"),
            Path(folder, "kept"),
        )
        if real is None:
            raise RuntimeError("`packer` is not installed; run `make setup`")
        keep = f'for word; do case $word in -var-file=*) cp -r "$(dirname "${{word#-var-file=}}")" {kept};; esac; done'
        shim.write_text(f'#!/bin/sh\n{keep}\nexec {real} "$@"\n')
        shim.chmod(0o755)
        path = f"{folder}:{stage.environment['PATH']}"
        run(CAPCTL, "ami", "bake", environment={**stage.environment, "PATH": path})
        yield kept


def _packer_build(stage: Stage, folder: Path) -> Callable[[], str]:
    variables = folder / "bake.pkrvars.json"
    given, numbers = json.loads(variables.read_text()), count(1)
    places = {
        name: str(folder / Path(given[name]).name) for name in ("model_list", "model_marker", "evidence", "manifest")
    }

    # Of another project: capctl would look at the AMIs of its own that nobody finished, and see who uses them.
    tags = given["tags"] | {Tag.PROJECT.value: "bare"}

    def build() -> str:
        name = f"{given['ami_name']}-bare-{next(numbers)}"
        variables.write_text(json.dumps(given | places | {"ami_name": name, "tags": tags}))
        return run(
            "packer", "build", "-machine-readable", f"-var-file={variables}", str(packer.TEMPLATE),
            environment={**stage.environment, "CHECKPOINT_DISABLE": "1"},
        )  # fmt: skip

    return build
