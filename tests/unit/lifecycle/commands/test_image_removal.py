"""`capctl image ls` and `capctl image prune`."""

import pytest

from lifecycle.cli.render import columns
from lifecycle.domain.digest import brief
from lifecycle.domain.usage import Unread, Use
from lifecycle.errors import CapctlError
from tests.fakes.ports import FakePorts
from tests.unit.lifecycle.commands.case import Case, Play, World

_KNOWN = FakePorts()
BASE = _KNOWN.base_builder.build()
CODE = _KNOWN.code.push()
PUSHED = ("image base", "image push")
LISTED = ("digest", "tag", "pushed", "pulled", "size", "per month", "needed by")
HEAD = ("digest", "tag", "age", "verdict", "frees", "why")
BASE_NEEDS = f"this working tree (its base); code image {CODE.tag}"
AGAIN = "Nothing was changed; run again with `--apply`"


def image(name: str) -> str:
    return brief(FakePorts().repository_images.add(name).digest)


def old(world: World) -> None:
    """An untagged image of long ago, and one that a job definition names."""
    world.ports.repository_images.add("old")
    world.ports.clock.sleep(1)
    used = world.ports.repository_images.add("used", "v1")
    world.ports.image_users.uses.append(Use(of=used.digest, kind="job definition", name="vision:3"))
    # Whoever has run the command before knows them.
    world.ports.repository_images.contents(world.ports.repository_images.list())
    world.ports.clock.sleep(100 * 86_400)


def old_and_used(world: World) -> None:
    old(world)
    world.ports.repository_images.delete([FakePorts().repository_images.add("old").digest])


def two_tags(world: World) -> None:
    world.ports.repository_images.add("used", "v1", "v2")


def unread(world: World) -> None:
    old(world)
    world.ports.image_users.unread.append(Unread(source="jobs", why="AWS refused reading jobs"))


def refused(world: World) -> None:
    old(world)
    world.ports.repository_images.refused[FakePorts().repository_images.add("old").digest] = "`Locked`"


def one_refused(world: World) -> None:
    refused(world)
    world.ports.clock.sleep(-100 * 86_400)
    world.ports.repository_images.add("other")
    world.ports.repository_images.contents(world.ports.repository_images.list())
    world.ports.clock.sleep(100 * 86_400)


def no_repository(world: World) -> None:
    def fail() -> None:
        raise CapctlError("repository-missing", "ECR has no repository `vision` in us-west-2")

    world.ports.repository_images.list = fail  # type: ignore[method-assign, assignment]


def pruned(*rows: tuple[str, ...], end: str = "", goes: str = "would go") -> str:
    total = f"1.0 MB and < $0.01 per month saved by what {goes}" if goes else ""
    return "\n".join(filter(None, (columns((HEAD, *rows)), total, end)))


USED = (image("used"), "v1", "100d", "keep", "1.0 MB", "used by job definition vision:3; somebody tagged it v1")
OLD = (image("old"), "(other)", "100d", "delete", "1.0 MB", "nothing needs it")
GONE = (*OLD[:5], "deleted")
UNKNOWN = "not known whether it is used: jobs could not be read"
KEPT = tuple((*row[:3], "keep", row[4], f"{UNKNOWN}; {row[5]}" if row is USED else UNKNOWN) for row in (USED, OLD))

NOTHING_KNOWN = "Nothing goes now: not everything that may use an image could be read: jobs: AWS refused reading jobs"

CASES = [
    Case(
        words="image ls",
        change=old,
        text="2 other images: `--all` lists them, too",
        document={"schema": "capctl.images/1"},
    ),
    Case(
        words="image ls --all",
        change=old,
        text="\n".join(
            (
                columns(
                    (
                        LISTED,
                        (USED[0], "v1", "100d", "100d", "1.0 MB", "< $0.01", "job definition vision:3"),
                        (OLD[0], "(other)", "100d", "100d", "1.0 MB", "< $0.01", "-"),
                    )
                ),
                "< $0.01 per month for the whole repository",
            )
        ),
        document={"schema": "capctl.images/1", "others": 0, "unread": []},
    ),
    Case(
        words="image ls --all",
        change=two_tags,
        text="\n".join(
            (
                columns((LISTED, (USED[0], "v1, v2", "0m", "0m", "1.0 MB", "< $0.01", "-"))),
                "< $0.01 per month for the whole repository",
            )
        ),
    ),
    Case(
        words="image ls",
        given=PUSHED,
        text="\n".join(
            (
                columns(
                    (
                        LISTED,
                        (brief(BASE.ref.digest), BASE.tag, "0m", "-", "1.1 kB", "$0.00", BASE_NEEDS),
                        (
                            brief(CODE.ref.digest),
                            CODE.tag,
                            "0m",
                            "-",
                            "1.1 kB",
                            "< $0.01",
                            "this working tree (its code)",
                        ),
                    )
                ),
                "< $0.01 per month for the whole repository",
            )
        ),
        document={"others": 0},
    ),
    Case(words="image ls", change=no_repository, code=1, error="repository-missing"),
    Case(
        words="image prune", document={"schema": "capctl.image-prune/1", "changed": False, "images": [], "unread": []}
    ),
    Case(
        words="image prune",
        change=old,
        text=pruned(USED, OLD, end=AGAIN),
        document={"schema": "capctl.image-prune/1", "changed": False, "frees_bytes": 1_000_000},
    ),
    Case(
        words="image prune --apply --yes",
        change=old,
        asked=("repository_images.delete",),
        text=pruned(USED, GONE, goes="went"),
        document={"changed": True},
    ),
    Case(
        words="image prune --apply --yes",
        change=refused,
        asked=("repository_images.delete",),
        text=pruned(
            USED,
            (*OLD[:3], "keep", "1.0 MB", "kept: ECR refused it: `Locked`"),
            goes="",
            end="Nothing was deleted after all: the rows say why",
        ),
        document={"changed": False, "frees_bytes": 0},
    ),
    Case(
        words="image prune --apply --yes",
        change=one_refused,
        asked=("repository_images.delete",) * 2,
        text=pruned(
            (image("other"), "(other)", "100d", "delete", "1.0 MB", "deleted"),
            USED,
            (*OLD[:3], "keep", "1.0 MB", "kept: ECR refused it: `Locked`"),
            goes="went",
            end="1 image stayed after all: the rows say why",
        ),
        document={"changed": True, "frees_bytes": 1_000_000},
    ),
    Case(
        words="image prune --apply --yes --max-deletions 0",
        change=old,
        text=pruned(
            USED,
            (*OLD[:3], "keep", "1.0 MB", "nothing needs it; left for a later run: the limit of this one is reached"),
            goes="",
            end="Nothing goes now: 1 image is not needed, 1 of which a later run takes, since `--max-deletions` is reached",
        ),
        document={"changed": False},
    ),
    Case(
        words="image prune",
        change=old_and_used,
        text=pruned(USED, goes="", end="Nothing goes now: every image is needed, or not old enough"),
        document={"changed": False},
    ),
    Case(words="image prune --apply", change=old, code=2, error="confirmation-needed"),
    Case(
        words="image prune --dry-run",
        change=old,
        text=f"""\
Plan: prune the images of vision
  because 1 image is not needed
  1. delete {OLD[0]}, which nothing needs
{AGAIN}""",
        document={"schema": "capctl.plan/1"},
    ),
    Case(
        words="image prune --apply --dry-run",
        change=old,
        text=f"""\
Plan: prune the images of vision
  because 1 image is not needed
  1. delete {OLD[0]}, which nothing needs
Nothing was changed; run again without `--dry-run` to apply""",
    ),
    Case(
        words="image prune --apply --yes",
        change=unread,
        code=3,
        error="use-unproven",
        text=pruned(*KEPT, goes="", end=NOTHING_KNOWN),
        document={"schema": "capctl.image-prune/1", "unread": [{"source": "jobs", "why": "AWS refused reading jobs"}]},
    ),
    Case(words="image prune", change=no_repository, code=1, error="repository-missing"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_image_removal(case: Case, played: Play) -> None:
    played(case)
