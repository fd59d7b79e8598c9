"""What a rehearsal did: one row per step, as a table, as Markdown and as JSON."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """Whether a step ran the real part or its stand-in."""

    REAL = "real"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One step; `result` is a few words for people."""

    name: str
    seconds: float
    kind: Kind
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole rehearsal. `peak_rss_bytes` sums the resident memory of all its processes at the worst moment."""

    ok: bool
    seconds: float
    peak_rss_bytes: int
    steps: tuple[Row, ...]

    def document(self) -> dict[str, object]:
        """The report without its schema name."""
        return {
            "ok": self.ok,
            "seconds": round(self.seconds, 1),
            "peak_rss_bytes": self.peak_rss_bytes,
            "steps": [{**asdict(row), "seconds": round(row.seconds, 2)} for row in self.steps],
        }

    def verdict(self) -> str:
        """One line."""
        verdict = "passed" if self.ok else "FAILED"
        return f"{verdict} in {self.seconds:.1f} s, peak memory of all processes {self.peak_rss_bytes / 1e9:.2f} GB"

    def markdown(self) -> str:
        """The report as a page."""
        lines = [
            "# Rehearsal",
            "",
            self.verdict(),
            "",
            "| step | seconds | kind | result |",
            "|---|---:|---|---|",
        ]
        lines += [
            f"| {row.name} | {row.seconds:.1f} | {row.kind} | {row.result.replace('|', '/')} |" for row in self.steps
        ]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Write `report.md` and `report.json` into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(self.markdown())
        document = {"schema": "capctl.rehearsal/1", **self.document()}
        (folder / "report.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
