"""The Dockerfile of the base image, and the tag that names everything the base is made of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import jinja2

from images.base.contract import LABEL_CONTRACT, RuntimeContract
from images.base.trims import KEPT, LEFT_OUT, Trims
from images.base.unpack import LAYER_ORDER
from images.errors import BaseInvalid
from images.index import BASE_KEPT, BASE_LEFT_OUT, BASE_TAG, PYTHON_LABEL

Builder = Literal["classic", "buildkit"]

USER_ID = 65532
ENTRYPOINT = ("python3",)
LABEL_LOCK = "dev.capctl.lock-sha256"
LABEL_ROOT = "dev.capctl.root"

_FOLDER = Path(__file__).parent
_TEMPLATE = _FOLDER / "Dockerfile.j2"
# What the first build stage runs; standard library only.
_PROGRAM = ("base/records.py", "base/shared_ffmpeg.py", "base/trims.py", "base/unpack.py", "globs.py")


def render_dockerfile(
    *,
    builder: Builder,
    from_image: str,
    python: str,
    lock_sha256: str,
    root: str,
    trims: Trims,
    contract: RuntimeContract | None = None,
    stage_labels: Mapping[str, str] | None = None,
) -> str:
    """The Dockerfile for one builder; both give the same files.

    `from_image` is what `FROM` names; `root` is its content (a digest), kept as a label. With a `contract`, Python finds the packages
    of the mount after those of the image. `stage_labels` go on the
    first stage only, so that the images which an engine keeps of it can be found; the base does not depend on them.
    Raises: BaseInvalid, if a value cannot stand in a Dockerfile.
    """
    labels = [(LABEL_LOCK, lock_sha256), (PYTHON_LABEL, python), (LABEL_ROOT, root)]
    if contract:
        labels.append((LABEL_CONTRACT, contract.sha256))
    stage = sorted((stage_labels or {}).items())
    for value in (from_image, *(word for pair in (*labels, *stage) for word in pair)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*", value):
            message = f"`{value}` cannot stand in a Dockerfile"
            raise BaseInvalid(message, hint="Use letters, digits and `.`, `_`, `:`, `/`, `@`, `-`")
    patterns = {BASE_LEFT_OUT: (*trims.leave_out, *LEFT_OUT), BASE_KEPT: (*trims.keep, *KEPT)}
    for pattern in (each for group in patterns.values() for each in group):
        if not re.fullmatch(r"[A-Za-z0-9_.*?/@+-]+", pattern):
            message = f"The pattern `{pattern}` cannot stand in a Dockerfile"
            raise BaseInvalid(message, hint="Use letters, digits and `.`, `_`, `/`, `@`, `+`, `-`, `*`, `?`")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return environment.from_string(_TEMPLATE.read_text()).render(
        builder=builder,
        from_image=from_image,
        layers=LAYER_ORDER,
        labels=[*labels, *((name, f'"{" ".join(group)}"') for name, group in patterns.items())],
        stage_labels=stage,
        runtime=contract.environment if contract else {},
        runtime_site=f":{contract.mount}/site-packages" if contract else "",
        user_id=USER_ID,
        entrypoint=json.dumps(list(ENTRYPOINT)),
    )


def base_tag(*, lock_sha256: str, root: str, python: str, trims: Trims, contract_sha256: str = "") -> str:
    """`base-<12 hex>` of everything that determines the base: lock, root filesystem, Python, trims, contract, template and program."""
    parts = (
        lock_sha256,
        root,
        python,
        contract_sha256,
        _sha256(trims.document()),
        _sha256(_TEMPLATE.read_bytes()),
        *map(_sha256, build_program().values()),
    )
    return BASE_TAG + _sha256("\n".join(parts).encode())[:12]


def build_program() -> dict[str, bytes]:
    """The modules that the first build stage runs, by their path in the build context."""
    return {f"images/{name}": (_FOLDER.parent / name).read_bytes() for name in _PROGRAM}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
