"""The server: moto behind one port of loopback, and the emulator's own few paths beside it."""

from __future__ import annotations

import fcntl
import functools
import json
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lifecycle.rehearsal.emulator.base_image import BASE_AMI_ID, BASE_AMI_PARAMETER, write_base_images
from lifecycle.rehearsal.emulator.calls import CallRecord
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.emulator.layers import Layers
from lifecycle.rehearsal.emulator.machines import Machines
from lifecycle.rehearsal.emulator.stage import Stage
from lifecycle.rehearsal.machine import machines_supported

_log = logging.getLogger(__name__)
OWN_PATH = "/_capctl/"
REGISTRY_EVENTS_PATH = OWN_PATH + "registry-events"
STATUS_PATH = OWN_PATH + "status"
DISKS_PATH = OWN_PATH + "disks/"
# That of every call, whoever makes it.
_ACCOUNT = "123456789012"
_INSTANCE = re.compile(r"^i-[0-9a-f]+$")
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _share_descriptions() -> None:
    """Let each session of botocore find what another one of this process has read of the services: moto makes many while it is imported."""
    import botocore.session

    botocore.session.create_loader = functools.cache(botocore.session.create_loader)


class EmulatorServer:
    """Owns the listening socket, the serving thread and the stage; `close` leaves no machine, container or thread behind."""

    def __init__(
        self,
        *,
        port: int,
        state: Path,
        rehearsal: str,
        registry: str | None,
        ssh_port: int,
        rootfs: Path | None,
        no_engine: str | None,
        stop_grace_s: int,
        relation_s: float = 0.0,
    ) -> None:
        self._claim(state)
        # moto reads these while it is imported, so nothing above this line may import it.
        os.environ["MOTO_AMIS_PATH"] = str(state / "base-images.json")
        os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
        # To find the account of a key, moto would make the IAM of every partition, with all policies of AWS in each.
        os.environ["MOTO_ACCOUNT_ID"] = _ACCOUNT
        write_base_images(state / "base-images.json")
        _share_descriptions()
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
        from werkzeug.serving import make_server

        self._moto: Wsgi = DomainDispatcherApplication(create_backend_app)
        # The port is bound before anything else is started, so that a taken one costs nothing.
        self._server = make_server("127.0.0.1", port, self._answer, threaded=True, request_handler=MotoRequestHandler)
        os.environ["MOTO_PORT"] = str(self.port)
        self._calls = CallRecord(state / "calls.jsonl")
        self.stage = Stage(
            rehearsal=rehearsal,
            state=state,
            endpoint=f"http://127.0.0.1:{self.port}",
            registry=registry,
            layers=Layers(state / "amis"),
            machines=Machines(state / "machines", ssh_port=ssh_port, rehearsal=rehearsal),
            no_machines=machines_supported(state) if rootfs else "no root filesystem was given",
            no_jobs=no_engine or jobs_supported(),
            stop_grace_s=stop_grace_s,
            relation_s=relation_s,
        )
        if rootfs:
            self.stage.layers.add_base(BASE_AMI_ID, rootfs)
        self._mend()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="emulator", daemon=True)

    def _claim(self, state: Path) -> None:
        """Take the state directory for this process, and drop what a former emulator kept for images that nobody knows now.

        Raises: OSError, if an emulator that runs has it.
        """
        state.mkdir(parents=True, exist_ok=True)
        self._claimed = (state / "emulator.lock").open("w")
        fcntl.flock(self._claimed, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in ("amis", "hosts", "machines"):
            shutil.rmtree(state / name, ignore_errors=True)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def _mend(self) -> None:
        from lifecycle.rehearsal.emulator import batch, dynamodb, ec2, ecr, s3, sqs, ssm

        ssm.mend()
        dynamodb.mend()
        sqs.mend()
        s3.mend()
        ec2.mend(self.stage)
        ecr.mend(self.stage)
        self._batch = batch.mend(self.stage)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop answering, end every job, power every machine off."""
        self._server.shutdown()
        self._batch.close()
        self.stage.machines.close()
        self._server.server_close()
        self._claimed.close()

    def facts(self) -> dict[str, Any]:
        """What the rehearsal must know to use this emulator."""
        return {
            "schema": "capctl.emulator/1",
            "endpoint": self.stage.endpoint,
            "pid": os.getpid(),
            "rehearsal": self.stage.rehearsal,
            "state": str(self.stage.state),
            "ssh_port": self.stage.machines.ssh_port,
            "calls": str(self._calls.path),
            "registry": self.stage.registry,
            "registry_events": self.stage.endpoint + REGISTRY_EVENTS_PATH,
            "base_ami": BASE_AMI_ID,
            "base_ami_parameter": f"{BASE_AMI_PARAMETER}/image_id",
            "no_machines": self.stage.no_machines,
            "no_jobs": self.stage.no_jobs,
        }

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(OWN_PATH):
            self._calls.add(environ)
            return self._moto(environ, start_response)
        status, document = self._own(path, environ)
        body = json.dumps(document).encode() + b"\n"
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _own(self, path: str, environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if path == STATUS_PATH:
            running = {"machines": self.stage.machines.running(), "jobs": self._batch.running()}
            return "200 OK", {**self.facts(), "running": running, "faults": self.stage.faults}
        if path == REGISTRY_EVENTS_PATH and environ["REQUEST_METHOD"] == "POST":
            from lifecycle.rehearsal.emulator import ecr

            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            ecr.take_events(self.stage, json.loads(body).get("events", []))
            return "200 OK", {}
        instance_id = path.removeprefix(DISKS_PATH)
        if path != instance_id and _INSTANCE.match(instance_id) and self.stage.machines.get(instance_id) is None:
            return "200 OK", {"disk": str(self.stage.machines.disk(instance_id))}
        return "404 Not Found", {"message": f"the emulator has no `{path}`"}
