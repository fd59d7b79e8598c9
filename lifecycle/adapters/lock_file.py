"""`models.lock.yaml`: read with every mistake named, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lifecycle.domain.models import ModelFile, ModelSet, model_set
from lifecycle.errors import CapctlError, UsageError

SCHEMA = "capctl.model-lock/1"
_HEADER = "# Written by `capctl models lock`. `licence` and `permitted_use` are yours to fill in; they are kept.\n"
_HINT = "Correct it, or delete it and run `capctl models lock`"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    path: str
    bytes: int = Field(ge=0)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    mode: Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}$")]
    source: str = ""
    licence: str = ""
    permitted_use: str = ""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    schema_name: Literal["capctl.model-lock/1"] = Field(alias="schema")
    digest: str
    files: list[_Entry]


class LockFile:
    """`ports.ModelLock` in one YAML file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return self._path.name

    def read(self) -> ModelSet | None:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError("lock-invalid", f"{self.name} cannot be read: {error}", hint=_HINT) from error
        document = self._parsed(text)
        models = model_set(tuple(ModelFile(**entry.model_dump()) for entry in document.files))
        if models.digest != document.digest:
            raise UsageError(
                "lock-invalid",
                f"{self.name} says digest `{document.digest}`, its files give `{models.digest}`",
                hint="Restore the file from git, or run `capctl models lock` after deleting it",
            )
        return models

    def write(self, models: ModelSet) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=f".{self.name}-", dir=self._path.parent)
            temporary = Path(name)
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(_rendered(models))
                    file.flush()
                    os.fsync(descriptor)
                temporary.chmod(0o644)
                temporary.replace(self._path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise CapctlError(
                "lock-unwritable",
                f"`{self._path}` cannot be written: {error.strerror}",
                hint="Make its folder writable, or set `models.lock`",
            ) from error

    def _parsed(self, text: str) -> _Document:
        try:
            return _Document.model_validate(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            problem = getattr(error, "problem", None) or "is not YAML"
            raise UsageError("lock-invalid", f"{self.name}{where}: {problem}", hint=_HINT) from error
        except ValidationError as error:
            found = [f"{_place(item['loc'])}: {item['msg']}" for item in error.errors()]
            raise UsageError(
                "lock-invalid", f"{self.name}: {found[0]}", hint=_HINT, details=tuple(found[1:])
            ) from error


def _place(location: tuple[int | str, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".") or "the document"


def _rendered(models: ModelSet) -> str:
    files = []
    for file in models.files:
        entry = {"path": file.path, "bytes": file.bytes, "sha256": file.sha256, "mode": file.mode}
        files.append(entry | ({"source": file.source} if file.source else {}) | file.terms)
    document = {"schema": SCHEMA, "digest": str(models.digest), "files": files}
    return _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
