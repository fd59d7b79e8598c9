"""Packer's manifest: which AMI a run made."""

import json
from dataclasses import dataclass
from pathlib import Path


class ManifestUnreadable(ValueError):
    """The manifest is missing, is not JSON, or does not tell what the last run made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestBuild:
    """What one run made. `amis` maps region to AMI id."""

    run_uuid: str
    builder: str
    amis: dict[str, str]
    custom_data: dict[str, str]


def read_manifest(path: Path) -> ManifestBuild:
    """The build of the last run; a manifest keeps those of earlier runs before it.

    Raises: ManifestUnreadable.
    """
    try:
        document = json.loads(path.read_text())
        run_uuid = document["last_run_uuid"]
        builds = [build for build in document["builds"] if build["packer_run_uuid"] == run_uuid]
        build = builds[-1]
        pairs = (artifact.partition(":") for artifact in build["artifact_id"].split(","))
        return ManifestBuild(
            run_uuid=run_uuid,
            builder=build["name"],
            amis={region: ami for region, _, ami in pairs},
            custom_data=build.get("custom_data") or {},
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ManifestUnreadable(f"manifest `{path.name}` does not name what the last run made: {error}") from error
