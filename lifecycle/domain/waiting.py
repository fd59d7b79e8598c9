"""How to wait: how often to look, how many successes in a row count, and when it is over."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Look until `successes` looks in a row succeed, or until `timeout_s` has passed.

    The pause between two looks is `share` of the time waited so far, but at least `shortest_s` and at most `longest_s`: a wait of any
    length ends soon after its condition came true, in not too many looks. A look that succeeded is repeated after `repeat_s`, or after
    `shortest_s` where that is None.
    """

    shortest_s: float
    longest_s: float
    share: float = 1.0
    successes: int = 1
    repeat_s: float | None = None
    timeout_s: float = math.inf

    def pause_s(self, *, successes: int, waited_s: float) -> float | None:
        """Seconds until the next look, after that many successes in a row; None when there is no next look.

        A look that succeeded is repeated also at the end of the time.
        """
        if successes:
            repeat_s = self.shortest_s if self.repeat_s is None else self.repeat_s
            return repeat_s if successes < self.successes else None
        if waited_s >= self.timeout_s:
            return None
        return min(max(self.share * waited_s, self.shortest_s), self.longest_s)


# How long an endpoint of AWS may not know of a change.
READ_BACK = Wait(shortest_s=0.5, longest_s=5.0, timeout_s=30.0)
