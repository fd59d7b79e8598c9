"""Images of a target: the base by a container engine, the code over the registry API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from images.code_image import CodeSettings, code_tag, push_code
from images.digests import ImageRef as RegistryRef
from images.digests import write_atomically
from images.errors import ImageError, ImageMissing, RegistryDenied
from images.layer import CodeTree, build_layer, read_tree
from images.registry import RegistryClient
from images.selection import DEFAULT_EXCLUDE, select_files
from lifecycle.adapters.aws.registry_login import RegistryLogin
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest, parse_digest
from lifecycle.domain.image import ImageRef
from lifecycle.errors import CapctlError, Denied
from lifecycle.ports.clock import Clock
from lifecycle.ports.images import Budgets, CodeLayer, ImageReport, PushedImage, TaggedImage, Violation
from lifecycle.ports.ui import Ui

if TYPE_CHECKING:
    from images.base.recipe import BaseRecipe
    from lifecycle.adapters.aws.session import AwsSession


class ContainerImages:
    """`ports.Images` for one repository. The target's `registry_url`, or the account's ECR, answers.

    What only the base image or a verification needs is imported there, so that a code push starts fast.
    """

    def __init__(self, target: Target, session: AwsSession, clock: Clock, ui: Ui) -> None:
        self._target = target
        self._settings = target.settings.image
        self._ui = ui
        self._login = RegistryLogin(target, session, clock)

    def base_tag(self) -> str:
        return self._recipe.tag

    def base(self) -> TaggedImage | None:
        with _translated():
            digest = self._client.head_manifest(self._recipe.tag)
        return self.remember_base(self._recipe.tag, parse_digest(digest)) if digest else None

    def build_base(self) -> TaggedImage:
        if present := self.base():
            return present
        from tempfile import TemporaryDirectory

        from images.base.recipe import ROOT_CHANGES, context_tar, dockerfile_of
        from lifecycle.adapters.docker_engine import DockerEngine

        engine, recipe = DockerEngine(self._ui), self._recipe
        if recipe.root_tar and not engine.has(recipe.from_image):
            engine.import_root(recipe.root_tar, recipe.from_image, changes=ROOT_CHANGES)
        name = f"{urlsplit(self._login.url).netloc}/{self._target.repository_name}:{recipe.tag}"
        with TemporaryDirectory() as folder, _translated():
            context = context_tar(
                Path(folder) / "context.tar",
                dockerfile=dockerfile_of(recipe, "classic"),
                requirements_lock=self._lock,
                wheels=recipe.wheels,
            )
            engine.build(context, name)
        engine.push(name, credentials=self._login.engine_credentials())
        engine.untag(name)
        base = self.base()
        if base is None:
            raise CapctlError(
                "base-missing", f"The registry does not have `{name}` after the push", hint="Read the registry's log"
            )
        return base

    def code_tag(self) -> str:
        return code_tag(self._tree, self._base_ref, self._code_settings)[0]

    def code_layer(self) -> CodeLayer:
        tag, treehash = code_tag(self._tree, self._base_ref, self._code_settings)
        with _translated():
            layer = build_layer(self._tree)
        return CodeLayer(
            treehash=Digest(f"sha256:{treehash}"),
            tag=tag,
            files=len(self._tree.files),
            unpacked_bytes=layer.unpacked_bytes,
            compressed_bytes=layer.size_bytes,
        )

    def push_code(self) -> PushedImage:
        with _translated():
            pushed = push_code(
                self._client,
                self._base_ref,
                self._tree,
                entrypoint=self._settings.entrypoint,
                env=self._settings.environment,
                cache=cache_folder() / "blobs",
            )
        return PushedImage(
            ref=self._ref(parse_digest(pushed.digest)),
            tag=pushed.tag,
            unchanged=pushed.unchanged,
            requests=pushed.requests,
            bytes_sent=pushed.bytes_sent,
        )

    def pushed_code(self) -> TaggedImage:
        tag = self.code_tag()
        with _translated():
            digest = self._client.head_manifest(tag)
        if digest is None:
            raise CapctlError(
                "image-missing",
                f"The registry does not have `{tag}`, the code of the working tree",
                hint="Run `capctl image push`",
            )
        return TaggedImage(ref=self._ref(parse_digest(digest)), tag=tag)

    def inspect(self, ref: ImageRef) -> ImageReport:
        from images.checks import Policy, check_image, locked_packages
        from images.inspect import image_index

        budgets = Budgets(
            compressed_bytes=self._settings.budget_compressed_bytes, unpacked_bytes=self._settings.budget_unpacked_bytes
        )
        policy = Policy(
            max_compressed_bytes=budgets.compressed_bytes,
            max_unpacked_bytes=budgets.unpacked_bytes,
            allowed_packages=locked_packages(self._lock.read_text()),
        )
        with _translated():
            index = image_index(self._client, ref.digest, cache_folder() / "layers")
        found = check_image(index, policy)
        return ImageReport(
            ref=ref,
            budgets=budgets,
            compressed_bytes=index.compressed_bytes,
            unpacked_bytes=index.unpacked_bytes,
            layers=len(index.layers),
            files=sum(entry.kind == "file" for layer in index.layers for entry in layer.entries),
            violations=tuple(Violation(code=one.code, message=one.message, path=one.path) for one in found),
        )

    @cached_property
    def _client(self) -> RegistryClient:
        return RegistryClient(self._login.url, self._target.repository_name, credentials=self._login.authorization)

    @cached_property
    def _recipe(self) -> BaseRecipe:
        from images.base.recipe import OfficialRoot, plan_base

        image = self._settings.base.from_image
        root = OfficialRoot(image=image, python=self._settings.base.python) if image else None
        with _translated():
            return plan_base(self._lock, cache_folder(), official_root=root, progress=self._ui.note)

    @property
    def _lock(self) -> Path:
        lock = self._target.path(self._settings.base.requirements)
        if not lock.is_file():
            raise CapctlError(
                "requirements-missing",
                f"The locked requirements `{lock}` do not exist",
                hint="Correct `image.base.requirements` in capctl.yaml",
            )
        return lock

    @cached_property
    def _tree(self) -> CodeTree:
        root = self._target.path(self._settings.root)
        with _translated():
            return read_tree(
                root, select_files(root, self._settings.include, (*DEFAULT_EXCLUDE, *self._settings.exclude))
            )

    @property
    def _code_settings(self) -> CodeSettings:
        return CodeSettings(entrypoint=self._settings.entrypoint, env=self._settings.environment)

    @cached_property
    def _base_ref(self) -> RegistryRef:
        """The base that `image base` recorded for this lock; asking the registry instead costs a request and hashing the root."""
        if known := self._recorded_base():
            return RegistryRef(repository=self._target.repository_name, digest=known)
        base = self.base()
        if base is None:
            raise CapctlError(
                "base-missing",
                f"The registry does not have the base image `{self._recipe.tag}`",
                hint="Run `capctl image base`",
            )
        return RegistryRef(repository=self._target.repository_name, digest=base.ref.digest)

    def _recorded_base(self) -> Digest | None:
        """None without a record of the present lock; one that cannot be read is none, and the registry is asked."""
        try:
            known = json.loads(self._record.read_text())
            return parse_digest(known["digest"]) if known["inputs"] == self._base_inputs else None
        except (OSError, ValueError, TypeError, KeyError, CapctlError):
            return None

    @property
    def _record(self) -> Path:
        return self._target.folder / ".capctl" / f"base-{self._target.name}.json"

    @property
    def _base_inputs(self) -> dict[str, str]:
        return {
            "registry": self._login.url,
            "lock": hashlib.sha256(self._lock.read_bytes()).hexdigest(),
            "from": self._settings.base.from_image or "",
        }

    def remember_base(self, tag: str, digest: Digest) -> TaggedImage:
        """Record what the registry holds under `tag` as the base of the present lock."""
        record = {"inputs": self._base_inputs, "tag": tag, "digest": digest}
        write_atomically(self._record, json.dumps(record).encode())
        return TaggedImage(ref=self._ref(digest), tag=tag)

    def _ref(self, digest: Digest) -> ImageRef:
        return ImageRef(repository=self._target.repository, digest=digest)


def debian_archives() -> tuple[str, list[str]]:
    """The suite of this machine and the archives its apt uses, as `deb` lines."""
    from images.base.archives import host_archives, host_suite

    with _translated():
        suite = host_suite()
        return suite, host_archives(suite)


def collect_base_parts(lock: Path, progress: Callable[[str], None]) -> None:
    """Put the root filesystem and the wheels of the base image into the cache, so that a build needs no network."""
    from images.base.recipe import plan_base

    with _translated():
        plan_base(lock, cache_folder(), progress=progress)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the image package's failures into capctl's; its codes and hints are kept."""
    try:
        yield
    except RegistryDenied as error:
        raise Denied(error.code, error.message, hint=error.hint) from error
    except ImageMissing as error:
        raise CapctlError(
            error.code, error.message, hint="Run `capctl image base`, then `capctl image push`"
        ) from error
    except ImageError as error:
        raise CapctlError(error.code, error.message, hint=error.hint) from error
