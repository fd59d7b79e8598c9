"""`ports.Baker` in memory."""

import json
from collections.abc import Callable
from typing import Any

from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.digest import Digest, digest_of
from lifecycle.domain.evidence import SCHEMA
from lifecycle.domain.models import MARKER
from lifecycle.errors import CapctlError
from lifecycle.ports.baker import AmiNameTaken, BakeRequest
from tests.fakes.amis import FakeAmis


class FakeBaker:
    """Makes AMIs in `amis`. `damage` may change what the instance reports; `requests` are the bakes that were asked for, `lacks` is
    the error of a missing program, `error_of` gives the failure of a request, `unfinished` is that of an AMI that stays pending."""

    def __init__(self, amis: FakeAmis, *, damage: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self._amis = amis
        self._damage = damage
        self.requests: list[BakeRequest] = []
        self.error_of: Callable[[BakeRequest], CapctlError | None] = lambda _: None
        self.unfinished: CapctlError | None = None
        self.lacks: CapctlError | None = None

    def recipe(self) -> Digest:
        return digest_of(b"recipe")

    def commit(self) -> str:
        return "c0ffee"

    def require_programs(self) -> None:
        if self.lacks:
            raise self.lacks

    def bake(self, request: BakeRequest, accept: Callable[[dict[str, Any]], None]) -> AmiId:
        self.require_programs()
        self.requests.append(request)
        if error := self.error_of(request):
            raise error
        if taken := self._amis.by_name(request.ami_name):
            raise AmiNameTaken("ami-name-taken", f"AMI `{request.ami_name}` exists already as `{taken.id}`")
        instance_id = f"i-{len(self.requests):017x}"
        report = evidence_of(request, instance_id)
        self._damage(report)
        accept(report)
        state = AmiState.PENDING if self.unfinished else AmiState.AVAILABLE
        made = self._amis.add(request.ami_name, instance_id=instance_id, tags=request.tags, state=state)
        if self.unfinished:
            raise self.unfinished
        return made.id


def evidence_of(request: BakeRequest, instance_id: str) -> dict[str, Any]:
    """What an instance reports that holds exactly the requested set."""
    marker = request.models.marker()
    sha256 = digest_of(marker).removeprefix("sha256:")
    folders = ("", *(f"{folder}/" for folder in request.models.folders))
    return {
        "schema": SCHEMA,
        "instance_id": instance_id,
        "root": "/opt/dl-models",
        "files": [
            {"path": file.path, "bytes": file.bytes, "sha256": file.sha256, "mode": file.mode}
            for file in request.models.files
        ],
        "markers": [
            {"path": f"{folder}{MARKER}", "bytes": len(marker), "sha256": sha256, "mode": "0444"} for folder in folders
        ],
        "marker": json.loads(marker),
    }
