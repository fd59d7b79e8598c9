"""Channels as SSM parameters of the type that names AMIs; their history is the parameter's own."""

from __future__ import annotations

from datetime import UTC
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import error_code, is_missing, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.ami import AmiId
from lifecycle.domain.channel import Channel, ChannelEntry, Note, is_channel, parse_note
from lifecycle.errors import CapctlError

_AMI_TYPE, _TEXT_TYPE = "aws:ec2:image", "text"


class SsmChannels:
    """`ports.Channels` below `/capctl/<project>/ami`, in the target's region or in another."""

    def __init__(self, session: AwsSession, *, project: str, region: str | None = None) -> None:
        self._session = session
        self._region = region
        self._folder = f"/capctl/{project}/ami"

    @cached_property
    def _ssm(self) -> Any:
        return self._session.client("ssm", self._region)

    def parameter(self, channel: Channel) -> str:
        return f"{self._folder}/{channel}"

    def read(self, channel: Channel) -> ChannelEntry | None:
        return next(iter(self.history(channel)), None)

    def list(self) -> tuple[ChannelEntry, ...]:
        with translated(f"listing the channels below `{self._folder}`"):
            pages = self._ssm.get_paginator("get_parameters_by_path").paginate(Path=self._folder)
            names = [parameter["Name"].rpartition("/")[2] for page in pages for parameter in page["Parameters"]]
        # The list does not tell who moved a channel, its history does.
        found = (self.read(Channel(name)) for name in sorted(names) if is_channel(name))
        return tuple(entry for entry in found if entry)

    def history(self, channel: Channel) -> tuple[ChannelEntry, ...]:
        with translated(f"reading channel `{channel}`"):
            try:
                pages = self._ssm.get_paginator("get_parameter_history").paginate(Name=self.parameter(channel))
                versions = [parameter for page in pages for parameter in page["Parameters"]]
            except ClientError as error:
                if is_missing(error):
                    return ()
                raise
        return tuple(_entry(channel, version) for version in sorted(versions, key=_version, reverse=True))

    def write(self, channel: Channel, ami_id: AmiId, note: Note, *, is_first: bool) -> int | None:
        with translated(f"moving channel `{channel}`"):
            try:
                return self._put(channel, ami_id, note, is_first=is_first)
            except ClientError as error:
                code = error_code(error)
                if code == "ParameterAlreadyExists":
                    return None
                if code == "TooManyUpdates":
                    raise CapctlError(
                        "channel-moved",
                        f"Somebody else moves channel `{channel}` at this moment; this run wrote nothing",
                        hint=f"Look at `capctl ami channels {channel}`, then decide again",
                    ) from error
                if code == "ParameterMaxVersionLimitExceeded":
                    name = self.parameter(channel)
                    raise CapctlError(
                        "channel-full",
                        f"Channel `{channel}` has 100 versions, and SSM cannot drop the oldest because it carries a label",
                        hint=f"Find it with `aws ssm get-parameter-history --name {name}`, and take the label off it with "
                        "`aws ssm unlabel-parameter-version`",
                    ) from error
                raise

    def _put(self, channel: Channel, ami_id: AmiId, note: Note, *, is_first: bool) -> int:
        wanted = {
            "Name": self.parameter(channel),
            "Description": note.text(),
            "Value": ami_id,
            "Type": "String",
            "Overwrite": not is_first,
        }
        try:
            answer = self._ssm.put_parameter(**wanted, DataType=_AMI_TYPE)
        except ClientError as error:
            # Not every region has it.
            if "data type is not supported" not in str(error):
                raise
            answer = self._ssm.put_parameter(**wanted, DataType=_TEXT_TYPE)
        return int(answer["Version"])


def _version(parameter: dict[str, Any]) -> int:
    return int(parameter["Version"])


def _entry(channel: Channel, parameter: dict[str, Any]) -> ChannelEntry:
    return ChannelEntry(
        channel=channel,
        version=_version(parameter),
        ami_id=AmiId(parameter["Value"]),
        since=parameter["LastModifiedDate"].astimezone(UTC).isoformat(timespec="seconds"),
        note=parse_note(parameter.get("Description", ""), user_arn=parameter.get("LastModifiedUser", "")),
    )
