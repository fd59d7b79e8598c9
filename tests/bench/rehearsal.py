"""The whole rehearsal: how long, how much memory, and whether every part was real."""

import json
import tempfile
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.startup import CAPCTL
from tests.bench.timing import run

SECONDS_BOUND = 90
MEMORY_BOUND_GB = 2.5


def rehearsal_figures() -> list[Figure]:
    """Play the release scene once, in a process of its own, and read its report."""
    with tempfile.TemporaryDirectory() as folder:
        run(CAPCTL, "rehearse", "--report", folder)
        report = json.loads((Path(folder) / "report.json").read_text())
    steps = report["steps"]
    real = sum(step["kind"] == "real" for step in steps)
    slowest = ", ".join(f"{step['name']} {step['seconds']:.0f} s" for step in sorted(steps, key=_seconds)[:-4:-1])
    memory_gb = report["peak_rss_bytes"] / 1e9
    return [
        Figure(
            name="rehearsal after set-up",
            measured=f"{report['seconds']:.0f} s; {real} of {len(steps)} steps real; slowest: {slowest}",
            bound=f"<= {SECONDS_BOUND} s, all real",
            met=report["seconds"] <= SECONDS_BOUND and real == len(steps),
        ),
        Figure(
            name="peak memory of all its processes",
            measured=f"{memory_gb:.2f} GB",
            bound=f"<= {MEMORY_BOUND_GB} GB",
            met=memory_gb <= MEMORY_BOUND_GB,
        ),
    ]


def _seconds(step: dict[str, float]) -> float:
    return step["seconds"]
