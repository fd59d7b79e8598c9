"""Where the packages of a root filesystem come from."""

from images.base.archives import archive_lines

TARGETS = """\
http://mirror.invalid/debian/|bookworm|main
http://mirror.invalid/debian/|bookworm|contrib
http://mirror.invalid/debian/|bookworm-updates|main
http://mirror.invalid/security/|bookworm-security|main
https://vendor.invalid/apt|cloud-sdk-bookworm|main
https://vendor.invalid/node|nodistro|main
"""


def test_archives_are_those_of_the_suite_and_its_updates() -> None:
    assert archive_lines("bookworm", TARGETS) == [
        "deb http://mirror.invalid/debian/ bookworm main contrib",
        "deb http://mirror.invalid/debian/ bookworm-updates main",
        "deb http://mirror.invalid/security/ bookworm-security main",
    ]


def test_machine_without_configured_archives_names_none() -> None:
    assert archive_lines("bookworm", "") == []
