"""What ended a job, in the words that every door tells it with."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import AnalyzerError, ExitCode, Interrupted

# The folder that is the code of an image, and what of it are others' packages where it is a checkout.
_CODE, _PACKAGES = Path(__file__).resolve().parents[1], "/site-packages/"
# What commands import when they are run, by the extra of `requirements/` that brings it.
_EXTRAS = {
    **dict.fromkeys(("av", "boto3", "botocore", "cv2", "numpy", "onnxruntime", "pgvector", "psycopg"), "analyzer"),
    **dict.fromkeys(("fastapi", "starlette", "uvicorn"), "analyzer-serve"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """`code` is kebab-case, `message` one sentence, `hint` what next."""

    exit_code: ExitCode
    code: str
    message: str
    hint: str = ""


def failure_of(error: Exception | Interrupted) -> Failure:
    """Of a typed error what it says; of a package that is not installed, which; of any other that it is a bug, and where."""
    if isinstance(error, AnalyzerError):
        return Failure(exit_code=error.exit_code, code=error.code, message=error.message, hint=error.hint)
    if isinstance(error, Interrupted):
        hint = "Run it again: it goes on behind the last committed segment"
        return Failure(exit_code=error.exit_code, code="interrupted", message=f"Stopped by {error.by}", hint=hint)
    if isinstance(error, ModuleNotFoundError) and (extra := _EXTRAS.get((error.name or "").partition(".")[0])):
        hint = f"Run `pip install '.[{extra}]'` in the checkout, or add `requirements/{extra}.in` to the image's requirements"
        what = f"The Python package `{error.name}` is needed here, and is not installed"
        return Failure(exit_code=ExitCode.MISMATCH, code="package-missing", message=what, hint=hint)
    place = _place(traceback.extract_tb(error.__traceback__))
    hint = f"The fault is in the job's own code, at `{place}`: mend it, then push the image and deploy it"
    return Failure(exit_code=ExitCode.BUG, code="bug", message=_crash(error), hint=hint)


def _crash(error: Exception) -> str:
    """What nobody foresaw, in one line, with the frames that led to it, the last one first."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in reversed(frames))
    return f"{f'{type(error).__name__}: {error}'.splitlines()[0]} (at {where})"


def _place(frames: Sequence[traceback.FrameSummary]) -> str:
    """`file:line` of the last frame in the job's code; of the last at all where none is."""
    own = [each for each in frames if Path(each.filename).is_relative_to(_CODE) and _PACKAGES not in each.filename]
    last = (own or frames)[-1]
    path = Path(last.filename)
    return f"{path.relative_to(_CODE) if own else path}:{last.lineno}"
