"""Everything that a container engine needs to build the base: root, Dockerfile, build context, tag."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from images.base.contract import RuntimeContract, without_contract
from images.base.dockerfile import Builder, base_tag, build_program, render_dockerfile
from images.base.lock import require_lock
from images.base.root_filesystem import python_minor, root_filesystem
from images.base.trims import Trims
from images.base.unpack import FIXED_MTIME_S
from images.base.wheelhouse import wheelhouse
from images.digests import write_atomically
from images.errors import BaseInvalid

# Name under which an engine imports the root filesystem; local to that engine, never pushed.
ROOT_REPOSITORY = "capctl-root"
# For the import: the tar has no configuration of its own.
ROOT_CHANGES = ("ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 'CMD ["python3"]')


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialRoot:
    """A slim Python image by digest, `name@sha256:…`, and its Python minor version, `3.12`."""

    image: str
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRecipe:
    """What the base is made of. `root_tar` is to be imported as `from_image` first; None where that is an image.

    `tag` names the result; `root` is the digest of the root filesystem's tar or of the official image; `requirements` is the lock without
    what the `contract` brings.
    """

    tag: str
    python: str
    lock_sha256: str
    root: str
    from_image: str
    root_tar: Path | None
    requirements: Path
    trims: Trims
    contract: RuntimeContract | None = None


def plan_base(
    requirements_lock: Path,
    cache: Path,
    *,
    official_root: OfficialRoot | None = None,
    contract: RuntimeContract | None = None,
    trims: Trims | None = None,
    progress: Callable[[str], None] | None = None,
) -> BaseRecipe:
    """Find out what the base is made of, without its wheels. Without `official_root`, makes a root unless `cache` has it.

    Without `trims`, those that no configuration changes.
    Raises: BaseInvalid, RootFilesystemFailed, ToolMissing.
    """
    try:
        locked = requirements_lock.read_bytes()
    except OSError as err:
        message = f"The lock `{requirements_lock}` cannot be read: {err.strerror}"
        raise BaseInvalid(message, hint="Name the lock file of the job's requirements") from err
    lock, lock_sha256 = locked.decode(errors="surrogateescape"), hashlib.sha256(locked).hexdigest()
    require_lock(lock, requirements_lock.name)
    needed = without_contract(lock, contract)
    if official_root:
        name, _, root = official_root.image.partition("@")
        if not root.startswith("sha256:"):
            message = f"The root image `{name}` is not pinned by digest"
            raise BaseInvalid(message, hint="Write it as `name@sha256:…`")
        root_tar, python, from_image = None, official_root.python, official_root.image
    else:
        root_tar = root_filesystem(cache, progress)
        with root_tar.open("rb") as content:
            root = "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()
        python, from_image = python_minor(root_tar), f"{ROOT_REPOSITORY}:{root[7:19]}"
    if contract and contract.python != python:
        message = f"The runtime contract is for Python {contract.python}, and the root of the base has {python}"
        raise BaseInvalid(message, hint="Choose a root with that Python, or bake the runtime for this one")
    requirements = _kept(needed, requirements_lock.name, cache) if needed != lock else requirements_lock
    trims = trims or Trims()
    return BaseRecipe(
        tag=base_tag(
            lock_sha256=lock_sha256,
            root=root,
            python=python,
            trims=trims,
            contract_sha256=contract.sha256 if contract else "",
        ),
        python=python,
        lock_sha256=lock_sha256,
        root=root,
        from_image=from_image,
        root_tar=root_tar,
        requirements=requirements,
        trims=trims,
        contract=contract,
    )


def wheels_of(
    recipe: BaseRecipe,
    cache: Path,
    *,
    scratch: Path | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> Path:
    """The folder of the wheels of `recipe`, downloaded unless `cache` has it; `scratch` is as for `wheelhouse`.

    Raises: WheelhouseFailed, DiskFull, ToolMissing.
    """
    return wheelhouse(recipe.requirements, recipe.python, cache, scratch=scratch, progress=progress)


def _kept(lock: str, name: str, cache: Path) -> Path:
    content = lock.encode(errors="surrogateescape")
    path = cache / "locks" / hashlib.sha256(content).hexdigest()[:16] / name  # messages name it as its user does
    write_atomically(path, content)
    return path


def dockerfile_of(recipe: BaseRecipe, builder: Builder, stage_labels: Mapping[str, str] | None = None) -> str:
    """The Dockerfile that builds `recipe`; `stage_labels` mark what the engine keeps of its first stage."""
    return render_dockerfile(
        builder=builder,
        from_image=recipe.from_image,
        python=recipe.python,
        lock_sha256=recipe.lock_sha256,
        root=recipe.root,
        trims=recipe.trims,
        contract=recipe.contract,
        stage_labels=stage_labels,
    )


def context_tar(target: Path, *, dockerfile: str, requirements_lock: Path, trims: Trims, wheels: Path) -> Path:
    """Write the build context: the same inputs give the same bytes, so that an engine's cache recognises them.

    Holds `Dockerfile`, `requirements.lock`, `trims.json`, the program of the first stage and `wheelhouse/`. Returns: `target`.
    """
    texts = {
        "Dockerfile": dockerfile.encode(),
        "requirements.lock": requirements_lock.read_bytes(),
        "trims.json": trims.document(),
        **build_program(),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in texts.items():
            tar.addfile(_member(name, len(content)), BytesIO(content))
        for wheel in sorted(wheels.glob("*.whl")):
            with wheel.open("rb") as stream:
                tar.addfile(_member(f"wheelhouse/{wheel.name}", wheel.stat().st_size), stream)
    return target


def _member(name: str, size_bytes: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size_bytes, 0o644, FIXED_MTIME_S
    return member
