"""The container engine of this machine, for images that are run by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from functools import cached_property

from images.archive import archive_bytes, archive_pieces
from images.content import ImageContent
from lifecycle.adapters.docker_engine import DockerEngine
from lifecycle.adapters.image_errors import image_errors_translated
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports.engine import LoadedImage
from lifecycle.ports.ui import Ui

# What every base image has, and every image on it: an engine may have hundreds of others, and tells the layers of one at a time.
_OF_THE_BASE = "dev.capctl."


class LocalEngine:
    """`ports.Engine`; the engine is asked when it is first needed."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui

    def find(self, name: str) -> str | None:
        return self._engine.image_id(name)

    def load(self, image: ImageContent, name: str) -> LoadedImage:
        known = self._known_layers(image)
        lower = {layer.digest for layer in image.layers[:known]}
        without = lower - {layer.digest for layer in image.layers[known:]}
        try:
            return LoadedImage(bytes_sent=self._load(image, name, without), layers_known=known)
        except CapctlError as error:
            if error.code != "engine-failed" or not without:
                raise
            self._ui.detail(f"{error.message}; once more, with every layer")
        return LoadedImage(bytes_sent=self._load(image, name, ()), layers_known=0)

    def _load(self, image: ImageContent, name: str, without: Collection[str]) -> int:
        size_bytes = archive_bytes(image, name, without=without)
        sent = _Sent()
        with image_errors_translated(), self._ui.progress(f"load {name}", size_bytes) as bar:
            try:
                self._engine.load(sent.counted(archive_pieces(image, name, without=without), bar.advance), name)
            except Interrupted as signal:
                if not sent.whole:
                    raise
                # An engine that has all of it goes on without us.
                raise Interrupted(
                    signal.code,
                    f"{signal.message}; the engine had been sent all of `{name}`, and may keep it",
                    hint=f"Run the command again to go on with it, or remove it: `docker image rm {name}`",
                ) from signal
        return size_bytes

    def _known_layers(self, image: ImageContent) -> int:
        """How many of the lowest layers the engine has in images of the same base."""
        told = (json.loads(image.config).get("config") or {}).get("Labels") or {}
        labels = [f"{name}={value}" for name, value in told.items() if name.startswith(_OF_THE_BASE)]
        most = 0
        for diff_ids in self._engine.layers_by_image(labels) if labels else ():
            same = 0
            for ours, theirs in zip(image.diff_ids, diff_ids, strict=False):
                if ours != theirs:
                    break
                same += 1
            most = max(most, same)
            # The highest is the code, which differs in most images.
            if most >= len(image.layers) - 1:
                break
        return most

    @cached_property
    def _engine(self) -> DockerEngine:
        return DockerEngine(self._ui)


class _Sent:
    """What an engine has taken; `whole` once it has asked for more after the last piece."""

    def __init__(self) -> None:
        self.whole = False

    def counted(self, pieces: Iterator[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            advance(len(piece))
        self.whole = True
