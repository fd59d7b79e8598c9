"""The bake, by the Packer program."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import packer
from lifecycle.adapters.aws.leftovers import Ec2Leftovers
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.packer_failure import failure, timed_out
from lifecycle.adapters.packer_leftovers import BakeTraces, remove_leftovers
from lifecycle.adapters.packer_output import Mask
from lifecycle.adapters.packer_pending import keep_unfinished
from lifecycle.adapters.packer_process import StreamingPacker
from lifecycle.adapters.packer_watch import BakeWatch
from lifecycle.adapters.private_folder import private_folder
from lifecycle.adapters.run_leases import BAKE_FOLDER, held
from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, parse_ami_id
from lifecycle.domain.digest import Digest, canonical_json, digest_of
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Interrupted, UsageError
from lifecycle.ports.baker import BakeRequest
from lifecycle.ports.clock import Clock
from lifecycle.ports.ui import Ui
from packer.manifest import ManifestUnreadable, read_manifest
from packer.variables import BakeVariables, ModelDownload, write_model_list

_POLL_EVERY_S = 5  # as the template sets it


class PackerBaker:
    """`ports.Baker` on EC2."""

    def __init__(self, target: Target, session: AwsSession, clock: Clock, ui: Ui) -> None:
        self._target = target
        self._session = session
        self._clock = clock
        self._ui = ui

    def recipe(self) -> Digest:
        files = (packer.TEMPLATE, *packer.PROVISIONERS)
        shape = {file.name: digest_of(file.read_bytes()) for file in files}
        ami = self._target.settings.ami
        return digest_of(
            canonical_json({"files": shape, "volume_gib": ami.volume_gib, "kms_key_id": ami.kms_key_id or ""})
        )

    def commit(self) -> str:
        asked = ("git", "-C", str(self._target.folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")
        try:
            answer = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return ""
        return answer.stdout.strip()

    def require_programs(self) -> None:
        _packer_program()
        if self._target.settings.ami.ssh_interface == "session_manager" and not shutil.which("session-manager-plugin"):
            raise UsageError(
                "session-manager-plugin-missing",
                "`ami.ssh_interface` is `session_manager` and `session-manager-plugin` is not installed",
                hint="Install AWS's Session Manager plugin, or set `ami.ssh_interface` to `private_ip` or `public_ip`",
            )

    def bake(self, request: BakeRequest, accept: Callable[[dict[str, Any]], None]) -> AmiId:
        executable = _packer_program()
        with ExitStack() as stack:
            folder = stack.enter_context(private_folder(BAKE_FOLDER))
            environment = self._environment(folder)
            lease = stack.enter_context(held(self._target, request.run_id, until=request.tags.get(Tag.RUN_UNTIL, "")))
            lease.name([str(folder)])
            secrets = [environment.get("AWS_SECRET_ACCESS_KEY", ""), environment.get("AWS_SESSION_TOKEN", "")]
            log = self._target.folder / ".capctl" / "logs" / f"bake-{request.run_id}.log"
            watch = stack.enter_context(
                BakeWatch(
                    log,
                    Mask([*secrets, *request.downloads.values()]),
                    folder / "evidence.json",
                    accept,
                    lease,
                    self._ui,
                )
            )
            self._write_inputs(request, folder)
            runner = StreamingPacker(
                executable,
                folder=folder,
                environment=environment,
                timeout_s=self._target.settings.ami.timeout_s,
                clock=self._clock,
                on_line=watch.line,
                on_start=lease.process,
                inherits=(lease.descriptor,),
            )
            try:
                status, _, _ = runner.build(
                    str(packer.TEMPLATE), var_file=folder / "bake.pkrvars.json", on_error="cleanup", color=False
                )
                if status != 0:
                    raise failure(watch.lines, ami_name=request.ami_name, region=self._target.region, log=log)
                watch.require_accepted()
                return self._baked(folder)
            except CapctlError as error:
                told, amis = error, watch.traces.amis
                if error.code == "bake-timed-out":
                    told = timed_out(error, phase=watch.phase, log=log)
                if watch.is_accepted:
                    told = keep_unfinished(self._session.client("ec2"), amis, request.tags, told, warn=self._ui.warn)
                lease.leaves_nothing = self._clean_up(watch.traces, request.run_id)
                if told is error:
                    raise
                raise told from error
            except BaseException:
                lease.leaves_nothing = self._clean_up(watch.traces, request.run_id)
                raise

    def _clean_up(self, traces: BakeTraces, run_id: str) -> bool:
        """Whether nothing is left."""
        where = f"look for resources tagged `{Tag.RUN}={run_id}`, or run `capctl ami sweep`"
        leftovers = Ec2Leftovers(self._session, self._target.project)
        try:
            removal = remove_leftovers(leftovers, self._clock, traces, run_id)
        except Interrupted:
            raise
        except CapctlError as error:
            # The failure of the bake is what the caller must see.
            self._ui.warn(f"{error.message}; {where}")
            return False
        for removed in removal.removed:
            self._ui.note(f"removed `{removed}`, which the bake had left")
        for left in removal.left:
            self._ui.warn(f"{left}; {where}")
        return not removal.left

    def _baked(self, folder: Path) -> AmiId:
        try:
            return parse_ami_id(read_manifest(folder / "manifest.json").amis[self._target.region])
        except (ManifestUnreadable, KeyError) as error:
            raise CapctlError(
                "bake-failed", f"Packer does not tell which AMI it made: {error}", hint="Run `capctl ami bake -v`"
            ) from error

    def _write_inputs(self, request: BakeRequest, folder: Path) -> None:
        ami = self._target.settings.ami
        models = [
            ModelDownload(
                path=file.path, bytes=file.bytes, sha256=file.sha256, mode=file.mode, url=request.downloads[file.path]
            )
            for file in request.models.files
        ]
        write_model_list(models, folder / "models.tsv")
        (folder / "model-set.json").write_bytes(request.models.marker())
        BakeVariables(
            region=self._target.region,
            base_ami=request.base.id,
            ami_name=request.ami_name,
            tags=request.tags,
            model_list=str(folder / "models.tsv"),
            model_marker=str(folder / "model-set.json"),
            evidence=str(folder / "evidence.json"),
            manifest=str(folder / "manifest.json"),
            custom_data={"run": request.run_id, "bake_digest": request.tags.get(Tag.BAKE_DIGEST, "")},
            instance_type=request.place.instance_type,
            root_device=request.base.root_device,
            volume_gib=max(ami.volume_gib, request.base.size_gib),
            subnet_id=request.place.subnet_id,
            kms_key_id=ami.kms_key_id,
            instance_profile=self._target.bake_profile,
            ssh_username=ami.ssh_username,
            ssh_interface=ami.ssh_interface,
            ssh_port=ami.ssh_port,
            poll_attempts=max(1, ami.timeout_s // _POLL_EVERY_S),
            custom_endpoint=self._target.endpoint_url,
        ).write(folder / "bake.pkrvars.json")

    def _environment(self, folder: Path) -> dict[str, str]:
        """This process's environment, with the target's credentials and with every file of Packer's below `folder`."""
        scratch = folder / "tmp"
        scratch.mkdir()
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PKR_", "PACKER_"))
        }
        # Packer's AWS library is older than single sign-on: it gets the credentials that boto3 resolved.
        frozen = self._session.frozen_credentials()
        environment |= {
            "AWS_ACCESS_KEY_ID": frozen.access_key,
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
            "TMPDIR": str(scratch),
            "PACKER_CACHE_DIR": str(scratch / "cache"),
            "CHECKPOINT_DISABLE": "1",
        }
        if frozen.token:
            environment["AWS_SESSION_TOKEN"] = frozen.token
        if self._session.app_id:
            # Its AWS library knows no application id; this too ends up in the User-Agent.
            environment["AWS_EXECUTION_ENV"] = self._session.app_id
        for name in ("PACKER_PLUGIN_PATH", "PACKER_CONFIG_DIR"):
            if name in os.environ:
                environment[name] = os.environ[name]
        return environment


def _packer_program() -> str:
    found = shutil.which("packer")
    if found is None:
        raise UsageError("packer-missing", "Packer is not installed", hint="Install it with `apt-get install packer`")
    return found
