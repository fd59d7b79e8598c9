"""A project on one base image, and `capctl image push` in it as a process."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from images.digests import digest_of
from lifecycle.adapters.base_record import RecordedBase
from lifecycle.config.load import load_target
from lifecycle.domain.digest import parse_digest
from lifecycle.domain.image import ImageRef
from tests.fakes.images import FakeBaseBuilder, FakeImageRegistry
from tests.fakes.registry import FakeRegistry

REPOSITORY = "shop"
ROOT = Path(__file__).parents[1]


def add_base(registry: FakeRegistry) -> str:
    """The digest of a base of Python 3.11 with numpy, now in repository `shop`."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name in ("usr/lib/python3.11/os.py", "opt/site/numpy/__init__.py"):
            archive.addfile(tarfile.TarInfo(name))
    config = {"rootfs": {"diff_ids": [digest_of(tar.getvalue())]}, "config": {"Labels": {"dev.capctl.python": "3.11"}}}
    return registry.add_image(REPOSITORY, config, [gzip.compress(tar.getvalue())])


def project_on(registry_url: str, base_digest: str, folder: Path) -> None:
    """A project of one file whose base image is that one of repository `shop`."""
    target = {"account": "012345678901", "region": "eu-central-1", "registry_url": registry_url}
    (folder / "capctl.yaml").write_text(json.dumps({"project": REPOSITORY, "targets": {"dev": target}}))
    (folder / "requirements.txt").write_text("")
    (folder / "run.py").write_text("print(1)\n")
    images, loaded = FakeImageRegistry(), load_target(folder / "capctl.yaml", None, environment={})
    builder = FakeBaseBuilder(images)
    images.tags[builder.tag()] = ImageRef(repository=loaded.repository, digest=parse_digest(base_digest))
    RecordedBase(builder, loaded, registry_url).find()


def running(folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """`capctl -o json image WORDS` in that folder, which is its home too."""
    given = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "lifecycle", "-o", "json", "image", *words]
    return subprocess.Popen(command, cwd=folder, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def pushing(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """`capctl image push`."""
    return running(folder, "push", **environment)


def pushed(folder: Path, **environment: str) -> dict[str, object]:
    """The document of a push that succeeds."""
    return document_of(pushing(folder, **environment))


def document_of(running: subprocess.Popen[str]) -> dict[str, object]:
    """What a command answers that succeeds."""
    out, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    return dict(json.loads(out))
