"""docs/benchmarks.md."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.figures import Figure, markdown_table
from tests.bench.timing import run

_TEXT = """# Benchmarks

Measured on {date} by `make bench`, which writes this page.

{machine}

{table}

## How it is measured

- Ratios are taken in one run: A B A B …, whole processes with the start of the interpreter, one round that does not count before; the
  median of the ratios is given, and in brackets the medians of the times. What else loads the machine slows both sides.
- The rehearsal is played once, by a `capctl rehearse` of its own; seconds and memory are those of its report. Memory is the largest sum of
  the resident memory of all its processes, sampled four times a second.
- The code push has one stage for all sides: the same registry on loopback, the same base image, the same changed line, and each side
  tells the digest at its end. The engine has pulled the base and its cache is warm. Its Dockerfile is `FROM` the base, `COPY` of the
  code, `LABEL`, `ENTRYPOINT`, the order of most Dockerfiles; or the fastest there is, with the `COPY` last, so that a change costs the
  copy alone.
- The job's own code is small, so the modules of Python's library beside it stand for a system with more of it. They differ by the
  Python that runs the bench.
- With the registry 20 ms away a relay holds every byte back for half of that, and each connection for all of it; no rate is limited. On
  loopback the start of programs is most of a code push, while a registry in a region is as far as that, or farther.
- `crane append` takes a tar, so the `git archive` that makes it counts; entry point and environment stay those of the base, for which
  crane would need another command.
- The base image holds the packages of `requirements/analyzer.lock`. Its size is the sum of all files of all layers, as the registry has
  them. Imports are timed inside a container that was started for them, from the first import to the last, by nobody's user and without
  bytecode of the job's own code; before the second figure, the kernel is told to forget every file.
- Both builders get the same context and cache nothing of one another; a build anew has a lock with one comment more, which neither knows.
- Bare `pulumi preview` is the Automation API by itself on the releases stack, selected before: the same program, the same state, the same
  CLI. Each preview of capctl starts from nothing, with the reading of both stacks that `capctl deploy` begins with.
- Deploys, `capctl rollback` and `capctl status` are whole commands. The promotion is the step of a deploy that moves the pointer, with the
  look whether it was moved. Calls are those that the emulator was asked.
- A bake beside bare Packer is a real one on the same stage: an instance, the same template, the very variables and model list that capctl
  gave to Packer, under another name; both orders in turn. Each bake of capctl makes a new AMI (`--force`). With the rehearsal's own
  models a bake takes a few seconds, and what AWS programs need to start weighs as nowhere else; with 1 GB more it is still far shorter
  than one on AWS, where `CreateImage` alone takes minutes.
- `sha256sum` runs once per file, as many at a time as there are cores, the largest first; the files are in the page cache.
- Programs start from bytecode, as installed programs do: `PYTHONDONTWRITEBYTECODE` is taken out of the environment.
- The large account of `ami prune` is made inside the emulator's process; the calls are those that the emulator was asked, and the
  memory is the largest of `capctl` and its children, as the kernel tells it.
- The load of a segment is timed with its check and its conversion, over the connection that the attempt holds, in place of rows that are
  there; the inserts, one transaction each, go over a connection of their own. The server does not wait for its disk, which spares the
  inserts most.
- Walkers are people on a real clip out of OpenCV's samples (`opencv-doc`), fetched once and checked by its digest. Once a second,
  30 times, everybody on it was marked by hand (`tests/bench/walkers.json`): 184 boxes of 11 people, 10 of them too far away for any
  window of the classifier; who is mostly hidden counts for nobody. The loop is `detectMultiScale` with OpenCV's defaults on the same
  pictures of 640 pixels, its windows trimmed as the analyzer trims them, each box linked to the one before that overlaps it most. A box
  is a person from an overlap of 0.3. A human who is given another number than at the mark before is one change of track.
  The thresholds of the analyzer's detector were chosen on these very marks, 29 s of one clip, the loop's are OpenCV's defaults: the
  figures tell how well the thresholds fit this clip, and nothing about other footage. Either half of the seconds is told by itself.
- For scene cuts, the four quarters of that clip take turns, 12 sampled pictures of each.
- The analyzer's pipeline runs into a folder, with a detector that finds two people at once in every picture and attributes that are
  constant: what is measured is all but the models. The clips are 40 s of 1080p30 H.264 at 6 Mb/s. The usual one is deblocked and has
  no B-frames, as cameras encode; two cores decode 600 to 750 frames of it a second, as of the clip that the bounds were set with (553 a
  second). The quick one is not deblocked, and the dense one has B-frames and arithmetic coding besides. Sides are taken in turns in one
  process, and ratios are those of speed, on the clock; in brackets also by the processor time of all processes, which what else loads
  the machine changes less, but which does not tell what runs side by side. The loop over frames reads each with OpenCV, letterboxes it,
  asks the detector about it alone, and asks for the attributes of every box. Memory is the largest sum of the proportional set sizes of
  the job's processes.
- Requests and bytes are counted where they are sent, by `images/transport.py`.

## Repeat it

```
make bench                                   # all of it; exits 1 when a bound is not met
.venv/bin/python -m tests.bench startup      # one group, which leaves this page as it is; `--help` names them
```
"""


def write_page(path: Path, figures: Sequence[Figure], *, load_before: float) -> None:
    """Write the page for `figures`, as measured now on this machine; `load_before` is its load average before the first."""
    date = datetime.now(UTC).date().isoformat()
    path.write_text(_TEXT.format(date=date, machine=_machine(load_before), table=markdown_table(figures)))


def _machine(load_before: float) -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("click", "pydantic", "boto3"))
    programs = (
        f"Docker CLI {run('docker', 'version', '--format', '{{.Client.Version}}').strip()}",
        f"engine {run('docker', 'version', '--format', '{{.Server.Version}}').strip()}",
    )
    return (
        f"Machine: {os.cpu_count()} cores, {memory_gib:.0f} GiB of memory, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {packages}, {', '.join(programs)}; "
        f"load average {load_before:.1f} before, {os.getloadavg()[0]:.1f} after."
    )
