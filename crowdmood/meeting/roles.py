"""Roles that last: whether what is shown large is the speaker or a shared screen is told by its name, which is misread at times."""

from __future__ import annotations

import numpy as np

from crowdmood.layout.finding import ROLES
from crowdmood.layout.marks import LOOK_SAME
from crowdmood.meeting.live import look_steps
from crowdmood.meeting.segments import SAME_PLACE, TileRows, overlap

STEP = LOOK_SAME / 5  # another picture differs by so much
LONGEST_S = 3.0       # after a longer break it may be another picture, too


def steady_roles(tiles: TileRows) -> np.ndarray:
    """Return int8 (k,): the roles, but one picture keeps to that which it has in most frames, as long as it is shown."""
    role, large = tiles.role.copy(), np.flatnonzero(tiles.role != ROLES.index("tile"))
    if not len(large):
        return role
    now, then = large[1:], large[:-1]
    other = overlap(tiles.box[now], tiles.box[then]) < SAME_PLACE
    other |= look_steps(tiles.look[large], np.arange(1, len(large))) >= STEP
    other |= tiles.time[now] - tiles.time[then] > LONGEST_S
    part = np.concatenate([[0], np.cumsum(other)])
    votes = np.stack([np.bincount(part, role[large] == number) for number in range(len(ROLES))])
    role[large] = votes.argmax(axis=0)[part]
    return role
