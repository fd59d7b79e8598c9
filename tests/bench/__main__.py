"""`python -m tests.bench [GROUP …]`: measure, print a table, and exit 1 when a bound is not met.

Groups: rehearsal, startup, base, release, deploy, ami, prune, load, walkers, analyzer. Without one, all are measured and
docs/benchmarks.md is written.
"""

import os
import sys
from pathlib import Path

from lifecycle.errors import CapctlError
from tests.bench.ami import ami_figures
from tests.bench.analyzer import analyzer_figures
from tests.bench.base import base_figures
from tests.bench.deploy import deploy_figures
from tests.bench.figures import Figure, text_table
from tests.bench.load import load_figures
from tests.bench.page import write_page
from tests.bench.prune import prune_figures
from tests.bench.rehearsal import rehearsal_figures
from tests.bench.release import release_figures
from tests.bench.startup import startup_figures
from tests.bench.walkers import walkers_figures

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
GROUPS = {
    "rehearsal": rehearsal_figures,
    "startup": startup_figures,
    "base": base_figures,
    "release": release_figures,
    "deploy": deploy_figures,
    "ami": ami_figures,
    "prune": prune_figures,
    "load": load_figures,
    "walkers": walkers_figures,
    "analyzer": analyzer_figures,
}


def main(names: list[str]) -> int:
    """Measure the groups in `names`, or all of them."""
    if unknown := [name for name in names if name not in GROUPS]:
        print(f"bench: `{unknown[0]}` is not a group\n\n{__doc__}", file=sys.stderr)
        return 2
    # Installed programs start from bytecode; where the environment forbids to write it, each start would compile.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    figures: list[Figure] = []
    load_before = os.getloadavg()[0]
    for name in names or GROUPS:
        print(f"bench: measuring {name}", file=sys.stderr)
        try:
            figures += GROUPS[name]()
        except (CapctlError, RuntimeError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    print(text_table(figures))
    if not names:
        write_page(PAGE, figures, load_before=load_before)
        print(f"bench: wrote {PAGE}", file=sys.stderr)
    return 0 if all(figure.met is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
