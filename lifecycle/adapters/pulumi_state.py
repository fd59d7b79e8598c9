"""Where Pulumi keeps its state, and what protects it."""

import os
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import is_missing, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.config.target import Target
from lifecycle.errors import UsageError

_PASSPHRASE_VARIABLES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def state_bucket(target: Target) -> str:
    """The project's own state bucket, used when `stack.state` is `s3`."""
    return f"{target.project}-capctl-state-{target.account}-{target.region}"


def backend_url(target: Target) -> str:
    """The backend URL as Pulumi takes it. Raises `UsageError` for a scheme that is neither `s3` nor `file`."""
    state = target.settings.stack.state
    bucket = state_bucket(target) if state == "s3" else urlsplit(state).netloc + urlsplit(state).path
    if state == "s3" or state.startswith("s3://"):
        query = {"region": target.region, "awssdk": "v2", **({"profile": target.profile} if target.profile else {})}
        if target.endpoint_url:
            # A bucket of an emulator has no host name of its own.
            query |= {"endpoint": target.endpoint_url, "s3ForcePathStyle": "true"}
        return f"s3://{bucket}?{urlencode(query)}"
    if state.startswith("file://"):
        # Pulumi puts every state in place as a whole, but beside it writes a file of metadata that nobody needs, and not as a whole:
        # whoever reads the state meanwhile, or after a kill then, gets nothing but `EOF`.
        return f"file://{state_folder(target)}?metadata=skip"
    raise UsageError(
        "state-unknown",
        f"`stack.state` is `{state}`, which is no place for Pulumi's state",
        hint="Write `s3`, `s3://bucket/prefix` or `file:///absolute/folder`",
    )


def state_folder(target: Target) -> Path:
    """The folder of a `file://` state; a relative one starts at capctl.yaml."""
    return target.path(target.settings.stack.state.removeprefix("file://")).resolve()


def is_file_state(target: Target) -> bool:
    """Whether the state is this machine's own."""
    return target.settings.stack.state.startswith("file://")


def secrets_environment(target: Target, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that open the state's secrets.

    A state of this machine gets a passphrase of its own, once, readable by its owner only. A shared state needs one that everybody
    knows: raises `UsageError("passphrase-missing")`.
    """
    if target.settings.stack.secrets_provider != "passphrase":
        return {}
    given = {name: environment[name] for name in _PASSPHRASE_VARIABLES if environment.get(name)}
    if given:
        return given
    if not is_file_state(target):
        raise UsageError(
            "passphrase-missing",
            f"The shared state of target `{target.name}` needs a passphrase and PULUMI_CONFIG_PASSPHRASE is not set",
            hint="Set PULUMI_CONFIG_PASSPHRASE to the team's passphrase, or `stack.secrets_provider` to `awskms://alias/…`",
        )
    return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(_own_passphrase(state_folder(target)))}


def write_secrets_note(folder: Path, stack: str, state: Mapping[str, Any], *, salt: str) -> str:
    """Note for the CLI how the secrets of a stack's `state` are closed; returns the salt of the passphrase, "" for a key of a service.

    Without the note, as on a machine that has not changed the stack yet, the CLI would take whatever passphrase it is given as a new one,
    and close the state with it. A state that says nothing yet gets the `salt` of another stack of the target, unless it has a note.
    """
    provider = state.get("secrets_providers") or {}
    known = str((provider.get("state") or {}).get("salt") or "") if provider.get("type") == "passphrase" else ""
    note = folder / f"Pulumi.{stack}.yaml"
    if not known and (provider or not salt or note.exists()):
        return known
    text = f"encryptionsalt: {known or salt}\n"
    if not note.exists() or note.read_text() != text:
        # Whole or not at all: another look of this run may start a CLI that reads it.
        written = folder / f".{note.name}-{os.getpid()}-{threading.get_ident()}"
        written.write_text(text)
        written.replace(note)
    return known or salt


def _own_passphrase(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "passphrase"
    written = folder / f".passphrase-{os.getpid()}"
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, secrets.token_urlsafe(32).encode())
    finally:
        os.close(descriptor)
    try:
        # Linking fails when the file exists: of two first runs at once, both use the one passphrase.
        path.hardlink_to(written)
    except FileExistsError:
        pass
    finally:
        written.unlink()
    return path


def has_state_bucket(session: AwsSession, target: Target) -> bool:
    """Whether the project's state bucket exists; True when the state is elsewhere."""
    if target.settings.stack.state != "s3":
        return True
    with translated(f"looking for the state bucket `{state_bucket(target)}`"):
        try:
            session.client("s3").head_bucket(Bucket=state_bucket(target))
        except ClientError as error:
            if is_missing(error):
                return False
            raise
    return True


def make_state_bucket(session: AwsSession, target: Target) -> None:
    """Create the project's state bucket: versioned, because a lost state is a lost stack, and closed to the public."""
    s3, bucket = session.client("s3"), state_bucket(target)
    placed = {} if target.region == "us-east-1" else {"LocationConstraint": target.region}
    closed = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
    with translated(f"creating the state bucket `{bucket}`"):
        s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": placed} if placed else {}))
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=closed)
