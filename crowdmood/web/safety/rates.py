"""How often one visitor may ask: token buckets."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict

REMEMBERED = 10_000  # visitors; of more, the one who has been quiet for longest is forgotten


class Rates:
    """burst: how often somebody may ask at once; per_second: how often in the long run. Not for several threads."""

    def __init__(self, burst: float, per_second: float) -> None:
        self.burst, self.per_second = burst, per_second
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # visitor: (left, at this time)

    def wait(self, visitor: str) -> float:
        """Seconds until the visitor may ask again, 0 for now."""
        return max(0.0, (1 - self._now_left(visitor)) / self.per_second)

    def take(self, visitor: str) -> float:
        """The same; and where it is 0, one is taken."""
        if wait := self.wait(visitor):
            return wait
        self._left[visitor] = self._now_left(visitor) - 1, time.monotonic()
        self._left.move_to_end(visitor)
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        return 0.0

    def _now_left(self, visitor: str) -> float:
        left, then = self._left.get(visitor, (self.burst, 0.0))
        return min(self.burst, left + (time.monotonic() - then) * self.per_second)


def visitor_of(address: str) -> str:
    """Whom an address stands for: one visitor has all addresses of an IPv6 network (/64)."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 and not ip.ipv4_mapped else str(ip)
