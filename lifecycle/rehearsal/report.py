"""What a rehearsal did: one row per step, as a table, as Markdown and as JSON."""

import json
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

_REAL_MEANS = "`real`: the program that does the step ran here, on real files; the AWS that it spoke to is an emulator in every row"


class Kind(StrEnum):
    """Whether a step ran the real part or its stand-in."""

    REAL = "real"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One step; `result` is a few words for people, `standins` the reasons why parts of it were not real."""

    name: str
    seconds: float
    result: str
    standins: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return Kind.SIMULATED if self.standins else Kind.REAL

    def document(self) -> dict[str, object]:
        """The row as the report has it, with the reasons behind the result."""
        result = "; ".join((self.result, *(f"simulated {why}" for why in self.standins)))
        return {"name": self.name, "seconds": round(self.seconds, 2), "kind": self.kind, "result": result}


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
            "steps": [row.document() for row in self.steps],
        }

    def verdict(self) -> str:
        """One line."""
        verdict = "passed" if self.ok else "FAILED"
        return f"{verdict} in {self.seconds:.1f} s, peak memory of all processes {self.peak_rss_bytes / 1e9:.2f} GB"

    def footnotes(self) -> tuple[str, ...]:
        """For below the table: what `real` means, what AWS was, and each reason for a stand-in once."""
        aws = f"In place of AWS: moto {version('moto')} on loopback, its gaps mended, and a Pulumi provider that speaks to it"
        simulated = dict.fromkeys(why for row in self.steps for why in row.standins)
        return _REAL_MEANS, aws, *(f"simulated {why}" for why in simulated)

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
        lines += [line for note in self.footnotes() for line in ("", note)]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Write `report.md` and `report.json` into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(self.markdown())
        document = {"schema": "capctl.rehearsal/1", **self.document()}
        (folder / "report.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
