"""`ports.Instances` in memory."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from lifecycle.domain.digest import digest_of
from lifecycle.domain.evidence import SCHEMA
from lifecycle.domain.models import MARKER, ModelSet
from lifecycle.errors import CapctlError
from lifecycle.ports.instances import BootRequest, InstanceRecord, InstanceState
from tests.fakes.objects import FakeObjects

_HOST = "https://s3.example/"


class FakeInstances:
    """Each instance reports at once to `objects`, and is over; what it found is what it was to find, after `damage`.

    `says` is a line that it reports in place of that, and `is_mute` keeps it from reporting and from ending. `refusals` are the errors
    of the next launches; `interrupted` is raised once a launch has made its instance.
    """

    def __init__(self, objects: FakeObjects) -> None:
        self._objects = objects
        self.requests: list[BootRequest] = []
        self.damage: Callable[[dict[str, Any]], None] = lambda _: None
        self.says = ""
        self.is_mute = False
        self.states: dict[str, InstanceState] = {}
        self.refusals: list[CapctlError] = []
        self.interrupted: CapctlError | None = None
        self._ids: dict[str, str] = {}

    def inputs(self, models: ModelSet) -> Mapping[str, bytes]:
        return {"models.json": models.marker()}

    def launch(self, request: BootRequest) -> str:
        if self.refusals:
            raise self.refusals.pop(0)
        if request.token in self._ids:
            return self._ids[request.token]
        self.requests.append(request)
        instance_id = self._ids[request.token] = f"i-{len(self.requests):017x}"
        self.states[instance_id] = InstanceState.RUNNING
        if self.interrupted:
            raise self.interrupted
        if not self.is_mute:
            self._report(request)
            self.states[instance_id] = InstanceState.TERMINATED
        return instance_id

    def state(self, instance_id: str) -> InstanceRecord:
        return InstanceRecord(id=instance_id, state=self.states.get(instance_id, InstanceState.UNKNOWN), reason="")

    def terminate(self, instance_id: str) -> None:
        if instance_id in self.states:
            self.states[instance_id] = InstanceState.TERMINATED

    def _report(self, request: BootRequest) -> None:
        (data, _) = self._objects.stored[_uri(request.inputs["models.json"])]
        document = {"schema": "capctl.boot-failure/1", "line": self.says} if self.says else self._evidence(data)
        self._objects.write(_uri(request.report_url), json.dumps(document).encode())

    def _evidence(self, marker: bytes) -> dict[str, Any]:
        files = json.loads(marker)["files"]
        folders = ("", *sorted({f"{file['path'].split('/')[0]}/" for file in files}))
        sha256 = digest_of(marker).removeprefix("sha256:")
        markers = [
            {"path": f"{folder}{MARKER}", "bytes": len(marker), "sha256": sha256, "mode": "0444"} for folder in folders
        ]
        document = {
            "schema": SCHEMA,
            "instance_id": "",
            "files": files,
            "markers": markers,
            "marker": json.loads(marker),
        }
        self.damage(document)
        return document


def _uri(url: str) -> str:
    return "s3://" + url.removeprefix(_HOST).partition("?")[0]
