"""`ami prune` in a large account: how many calls, how long, how much memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure
from tests.bench.prune_account import ACCOUNT, AMIS, PARAMETERS, PROJECT, REGION, TEMPLATES
from tests.bench.startup import CAPCTL

SECONDS_BOUND = 60
MEMORY_BOUND_MB = 500
# Pages of AMIs (what there is, what a bake would give) and snapshots (the project's, nobody's), of template versions and parameters,
# whose values are read by ten, as are their names from this emulator.
PAGES = 2 * AMIS // 1000 + 2 * 2 * AMIS // 1000 + 2 * TEMPLATES // 200 + 2 * PARAMETERS // 10
# Who else may have the ten that would go: four each. The other sources, who it is, releases and the pointer.
OTHER_CALLS = 10 * 4 + 20
# The kernel counts what a process was copied from into its peak, and the bench itself is large by then: a small program starts capctl.
_TELLING_PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "PULUMI_CONFIG_PASSPHRASE": "bench",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    document: dict[str, Any]
    took_s: float
    peak_bytes: int
    calls: int


def prune_figures() -> list[Figure]:
    """Judge every AMI of an account in an emulator of its own, once, and change nothing."""
    with tempfile.TemporaryDirectory() as folder:
        ended = _prune(Path(folder))
    verdicts = [ami["verdict"] for ami in ended.document["amis"]]
    kept = verdicts.count("keep")
    size = f"{AMIS} AMIs, {2 * AMIS} snapshots, {TEMPLATES} launch templates"
    return [
        Figure(
            name=f"`capctl ami prune`, dry: {size}",
            measured=f"{ended.took_s:.1f} s; {kept} stay, {AMIS - kept} go",
            bound=f"<= {SECONDS_BOUND} s",
            met=ended.took_s <= SECONDS_BOUND and len(verdicts) == AMIS and not ended.document["unread"],
        ),
        Figure(
            name="AWS calls of that prune",
            measured=str(ended.calls),
            bound=f"<= {PAGES} pages + {OTHER_CALLS}",
            met=ended.calls <= PAGES + OTHER_CALLS,
        ),
        Figure(
            name="peak memory of that prune",
            measured=f"{ended.peak_bytes / 1e6:.0f} MB",
            bound=f"<= {MEMORY_BOUND_MB} MB",
            met=ended.peak_bytes <= MEMORY_BOUND_MB * 1e6,
        ),
    ]


def _prune(folder: Path) -> _Ended:
    emulator = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.prune_account", str(folder / "emulator")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert emulator.stdout is not None
        line = emulator.stdout.readline()
        if not line:
            raise RuntimeError("the emulator of the large account did not start")
        facts = json.loads(line)
        _configure(folder, facts["endpoint"])
        before = len(Path(facts["calls"]).read_text().splitlines())
        document, took_s, peak_bytes = _measured(folder, "ami", "prune", "-o", "json")
        calls = len(Path(facts["calls"]).read_text().splitlines()) - before
        return _Ended(document=document, took_s=took_s, peak_bytes=peak_bytes, calls=calls)
    finally:
        emulator.communicate()


def _measured(folder: Path, *words: str) -> tuple[dict[str, Any], float, int]:
    """The document that capctl answers with, its seconds, and its largest resident memory in bytes."""
    answer, said = folder / "answer.json", folder / "said.txt"
    with answer.open("wb") as stdout, said.open("wb") as stderr:
        started = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-c", _TELLING_PEAK, CAPCTL, *words],
            cwd=folder,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            check=False,
        )
        took_s = time.perf_counter() - started
    if ended.returncode:
        raise RuntimeError(f"`capctl {' '.join(words)}` ended with {ended.returncode}: {said.read_text()[-2000:]}")
    return json.loads(answer.read_text()), took_s, int(said.read_text().split()[-1]) * 1024


def _configure(folder: Path, endpoint: str) -> None:
    """A project in `folder`, and the table of its pointer."""
    import boto3

    state = folder / "state"
    state.mkdir()
    (folder / "capctl.yaml").write_text(
        f"""\
project: {PROJECT}
targets:
  bench:
    account: "{ACCOUNT}"
    region: {REGION}
    endpoint_url: {endpoint}
    stack: {{state: "file://{state}"}}
"""
    )
    keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "secret"}
    boto3.client("dynamodb", region_name=REGION, endpoint_url=endpoint, **keys).create_table(
        TableName=f"{PROJECT}-capctl",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
