"""The places of a target's instances, tried in turn while AWS has no room in them."""

from collections.abc import Callable
from itertools import product
from typing import TypeVar

from lifecycle.config.target import Target
from lifecycle.domain.measures import counted
from lifecycle.domain.place import Place
from lifecycle.errors import Inconclusive
from lifecycle.ports.ui import Ui

T = TypeVar("T")


def in_first_place(target: Target, ui: Ui, doing: str, start: Callable[[Place], T]) -> T:
    """What `start` gives in the first place that has room; `doing` says for what, such as `to bake AMI x`.

    Raises `Inconclusive("no-capacity")` with every place that was tried.
    """
    settings, full = target.settings.ami, []
    for instance_type, subnet_id in product(settings.instance_types, settings.subnet_ids or (None,)):
        place = Place(instance_type=instance_type, subnet_id=subnet_id)
        try:
            return start(place)
        except Inconclusive as error:
            if error.code != "no-capacity":
                raise
            ui.note(f"AWS has no capacity for {place}")
            full.append(str(place))
    raise Inconclusive(
        "no-capacity",
        f"AWS has no capacity {doing} in {target.region}: {counted(len(full), 'place')} tried",
        hint="Add to `ami.instance_types` or `ami.subnet_ids` in capctl.yaml, or try later",
        details=tuple(full),
    )
