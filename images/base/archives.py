"""The Debian or Ubuntu release of this machine, and the package archives that its own apt is set up with."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping

from images.errors import RootFilesystemFailed


def host_suite(release: Mapping[str, str] | None = None) -> str:
    """Codename of this machine's Debian or Ubuntu release, such as `bookworm`; `release` are the fields of `os-release`.

    Raises: RootFilesystemFailed, on any other system.
    """
    release = _os_release() if release is None else release
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if not family & {"debian", "ubuntu"} or not release.get("VERSION_CODENAME"):
        message = f"A root filesystem cannot be made on `{release.get('ID', 'this system')}`: it has no Debian packages"
        raise RootFilesystemFailed(message, hint="Configure an official slim Python image as the root of the base")
    return release["VERSION_CODENAME"]


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def host_archives(suite: str) -> list[str]:
    """The archives of `suite` that apt uses here, one `deb` line each; none before the first `apt-get update`."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return archive_lines(suite, done.stdout)


def archive_lines(suite: str, index_targets: str) -> list[str]:
    """The archives of `suite` (with its updates and security) in apt's one-line form.

    `index_targets`: lines `URI|release|component`, as `apt-get indextargets` prints them for this machine's configuration.
    """
    components: dict[tuple[str, str], list[str]] = {}
    for line in index_targets.splitlines():
        uri, _, rest = line.partition("|")
        release, _, component = rest.partition("|")
        if release == suite or release.startswith(f"{suite}-"):
            names = components.setdefault((uri, release), [])
            if component and component not in names:
                names.append(component)
    return [f"deb {uri} {release} {' '.join(names)}" for (uri, release), names in components.items() if names]
