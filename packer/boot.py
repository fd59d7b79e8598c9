"""The user data of an instance that checks its own AMI."""

import shlex
from dataclasses import dataclass

from packer import BOOT


@dataclass(frozen=True, slots=True, kw_only=True)
class BootVariables:
    """One field per variable of `provisioners/boot.sh`, in lower case. The URLs read three files and write one: treat them as secrets."""

    check_url: str
    model_list_url: str
    model_marker_url: str
    report_url: str
    limit_s: int

    def user_data(self) -> str:
        """The script, with the variables set, as cloud-init runs it; EC2 takes up to 16 KB."""
        lines = ("#!/bin/bash", *(f"{name.upper()}={shlex.quote(str(getattr(self, name)))}" for name in self.__slots__))
        return "\n".join((*lines, BOOT.read_text()))
