"""From which source an image of the working tree is made."""

from dataclasses import dataclass

from lifecycle.domain.measures import counted, first_few

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """`commit` is the whole id of git's HEAD, None where there is none. `uncommitted` are files of the code, below its folder, that are not
    there as they are in the commit."""

    commit: str | None = None
    uncommitted: tuple[str, ...] = ()

    @property
    def warning(self) -> str:
        """What to tell the person who makes an image of it; "" for nothing."""
        if not self.uncommitted:
            return ""
        names = first_few([f"`{name}`" for name in self.uncommitted], most=_SHOWN)
        where = f"commit {self.commit[:12]}" if self.commit else "any commit"
        return f"{counted(len(self.uncommitted), 'file')} of the code not as in {where}: {names}"
