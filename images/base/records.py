"""A package's `RECORD` lists its files with their hashes. Here it is made to list those that the image has, and no others.

Standard library only: the image build runs this.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path


def rewrite_records(site: Path, place: Callable[[str], str | None]) -> None:
    """Take out of each `RECORD` below `site` what is not there as the wheel had it: left out, or replaced by a link.

    `place` tells where a file of the wheel goes, relative to `site`; None for nowhere.
    """
    for record in sorted(site.glob("*.dist-info/RECORD")):
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        for name, *facts in csv.reader(record.read_text().splitlines()):
            path = None if name.startswith(("/", "../")) else place(name)
            if path and (site / path).is_file() and not (site / path).is_symlink():
                writer.writerow((path, *facts))
        record.write_text(out.getvalue())
