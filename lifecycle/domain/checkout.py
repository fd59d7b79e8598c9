"""From which source an image of the working tree is made."""

from dataclasses import dataclass

from lifecycle.domain.measures import counted, first_few

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """`commit` is the whole id of git's HEAD, None where there is none. `uncommitted` are files of the code, below its folder, that are not
    there as they are in the commit, `untracked` those that would be code if git tracked them, and which the image therefore lacks."""

    commit: str | None = None
    uncommitted: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    is_in_git: bool = True

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to tell the person who makes an image of it."""
        if not self.is_in_git:
            return ("The code is in no git checkout: the image tells no commit, and nobody finds its source again",)
        told = []
        if self.uncommitted:
            where = f"commit {self.commit[:12]}" if self.commit else "any commit"
            told.append(
                f"{counted(len(self.uncommitted), 'file')} of the code not as in {where}: {_few(self.uncommitted)}"
            )
        if self.untracked:
            told.append(
                f"{counted(len(self.untracked), 'file')} that git does not track left out of the image: {_few(self.untracked)}; "
                "`git add` what it needs"
            )
        return tuple(told)


def _few(names: tuple[str, ...]) -> str:
    return first_few([f"`{name}`" for name in names], most=_SHOWN)
