"""Live or not: in which frames a tile shows a camera's picture.

A person who sits still moves a little all the time; an avatar or a photo does not move at all, but for the noise of
the codec. Who freezes for a while is still the same picture: so motion decides about pictures, not about moments.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import percentile_filter

from crowdmood.layout.finding import ROLES
from crowdmood.layout.marks import LOOK_SAME, look_distance
from crowdmood.meeting.segments import Segments, TileRows

SHARE = ROLES.index("share")
# A camera's picture changes by more than this in all frames but some, and by more in many: a codec repeats a small
# change of a still one evenly; or by a lot in many, where it comes with breaks. A still one does not change at all in
# most frames, whatever the codec makes of it in the others.
LIVE_MOTION = (((25, 0.055), (70, 0.13)), ((70, 0.3),))  # percentiles of the rows around, grey levels: all of one kind
LIVE_S, LIVE_REACH = 1.4, (2, 7)  # seconds on each side, but rows between these
LASTING_S = 5.0       # a picture that once moved for so long is a camera's, however long it is still
ACTIVE_STEP = 0.3     # where the speaker frame comes or goes, motion says nothing
FEWEST_KNOWN = 4      # rows of known motion that a verdict needs, ...
FEWEST_STILL, NOTHING = 2, 0.03  # ... or so many in which nothing at all moves
OTHER_PICTURE = LOOK_SAME / 2  # a picture that differs so much from the one before is another, however shortly it is shown
SAME_PICTURE = LOOK_SAME / 5
MOST_PICTURES = 200
SAMPLES = 3           # rows by which the look of a stretch is known
BLOCK = 16            # rows compared at a time


def live_rows(tiles: TileRows, found: Segments) -> np.ndarray:
    """Return int8 (k,): 1 where a tile shows a moving picture, 0 where it is still, -1 where nothing is known."""
    live, rows = np.full(len(tiles.frame), -1, np.int8), dict(found.rows())
    motion = {tile: _usable_motion(tiles, rows[tile]) for tile in rows}
    known = {tile: moved for tile, moved in motion.items() if np.isfinite(moved).sum() >= FEWEST_KNOWN}
    for tile, moved in known.items():
        step = max(float(np.median(np.diff(tiles.time[rows[tile]]))), 1e-3)
        reach = int(np.clip(round(LIVE_S / step), *LIVE_REACH))
        live[rows[tile]] = _live(moved, tiles.look[rows[tile]], reach, LASTING_S / step)
    return live


def _usable_motion(tiles: TileRows, rows: np.ndarray) -> np.ndarray:
    """Return the motion of a tile's rows, NaN also where its speaker frame comes or goes, and in the first one: there
    another's picture may have been before."""
    step = np.abs(np.diff(tiles.active[rows], prepend=tiles.active[rows[:1]])) > ACTIVE_STEP
    step[:1] = True
    return np.where(step, np.nan, tiles.motion[rows])


def stretches(value: np.ndarray) -> np.ndarray:
    """Return int64 (r + 1,): where runs of equal values begin, and the end."""
    return np.concatenate([[0], np.flatnonzero(np.diff(value)) + 1, [len(value)]]).astype(np.int64)


def samples(rows: np.ndarray, number: int) -> np.ndarray:
    """Return up to `number` of the rows, evenly spread."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, number).round().astype(np.int64))] if len(rows) else rows


def _live(motion: np.ndarray, look: np.ndarray, reach: int, lasting: float) -> np.ndarray:
    """Return bool (n,) for one tile's rows in time. reach: rows looked at on each side; lasting: rows."""
    known = np.isfinite(motion)
    filled = motion[known][np.maximum(np.cumsum(known) - 1, 0)]
    around = {"size": 2 * reach + 1, "mode": "mirror"}
    moving = np.any([np.all([percentile_filter(filled, share, **around) >= least for share, least in kind], axis=0)
                     for kind in LIVE_MOTION], axis=0)
    bounds = stretches(moving)
    edges = [_edge(look, at, reach) for at in bounds[1:-1]]
    bounds = np.maximum.accumulate(np.concatenate([[0], edges, [len(look)]]).astype(np.int64))
    state = np.repeat(moving[0] ^ (np.arange(len(bounds) - 1) % 2).astype(bool), np.diff(bounds))
    others = 1 + np.flatnonzero(look_steps(look, np.arange(1, len(look))) >= OTHER_PICTURE)
    bounds = np.union1d(bounds, others)
    length = np.diff(bounds)
    picture = _pictures([look[samples(np.arange(a, b), SAMPLES)] for a, b in pairwise(bounds)])
    row_picture, within = np.repeat(picture, length), motion.copy()
    within[others] = np.nan  # from one picture to another
    camera = [_is_camera(within[row_picture == number], state[bounds[:-1]][picture == number], length[picture == number], lasting)
              for number in range(picture.max(initial=0) + 1)]
    return np.array(camera)[row_picture]


def _is_camera(motion: np.ndarray, moving: np.ndarray, length: np.ndarray, lasting: float) -> bool:
    """Whether a picture is a camera's. motion: of all its rows; moving, length: of each of its stretches."""
    if np.isfinite(motion).sum() < FEWEST_STILL:
        return bool(moving.any())
    return _moves(motion) or bool((moving & (length >= lasting)).any())


def _moves(motion: np.ndarray) -> bool:
    """Whether so much motion, taken from all rows of a picture, is that of a camera."""
    known = motion[np.isfinite(motion)]
    return len(known) > 0 and any(all(np.percentile(known, share) >= least for share, least in kind) for kind in LIVE_MOTION)


def _edge(look: np.ndarray, at: int, reach: int) -> int:
    """Return the row near `at` where the picture changes most: there the camera went on or off."""
    low, high = max(at - reach, 1), min(at + reach, len(look) - 1)
    return low + int(np.argmax(look_steps(look, np.arange(low, high + 1))))


def look_steps(look: np.ndarray, row: np.ndarray, before: int = 1, after: int = 0) -> np.ndarray:
    """Return float32 (r,): how far the picture `before` rows before each row differs from that `after` rows after it."""
    first, second = np.maximum(row - before, 0), np.minimum(row + after, len(look) - 1)
    parts = [look_distance(look[first[i:i + BLOCK]], look[second[i:i + BLOCK]]).diagonal() for i in range(0, len(row), BLOCK)]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _pictures(looks: list[np.ndarray]) -> np.ndarray:
    """Return int64 (r,): equal numbers for stretches that look alike."""
    picture, kept, owner = np.zeros(len(looks), np.int64), [], []
    for i, look in enumerate(looks):
        apart = look_distance(look, np.concatenate(kept)).min(axis=0) if kept and len(look) else np.ones(1)
        known = len(kept) and (apart.min() < SAME_PICTURE or len(kept) == MOST_PICTURES or not len(look))
        picture[i] = owner[int(apart.argmin())] if known else len(kept)
        if not known:
            kept.append(look)
            owner += [picture[i]] * len(look)
    return picture


def settle(live: np.ndarray, tiles: TileRows, found: Segments, participant: np.ndarray) -> np.ndarray:
    """Return bool (k,): the verdict on each picture of a participant, taken from all times it was shown; else live.

    live: int8 (k,), see `live_rows`. participant: int64 (t,) of each tile. After a change of layout a codec refines even
    a photo for seconds, and many segments are short; a picture shown again tells more. To lose faces is the larger
    error, so in doubt a camera is on. A shared screen is never live.
    """
    settled, shown, motion = live != 0, {}, np.full(len(live), np.nan)
    for tile, rows in found.rows():
        motion[rows] = _usable_motion(tiles, rows)
        bounds = stretches(live[rows])
        shown.setdefault(int(participant[tile]), []).extend(rows[a:b] for a, b in pairwise(bounds))
    for parts in shown.values():
        picture = _pictures([tiles.look[samples(part, SAMPLES)] for part in parts])
        for number in range(picture.max() + 1):
            mine = [part for part, which in zip(parts, picture, strict=True) if which == number]
            rows = np.concatenate(mine)
            lasting = any(tiles.time[part[-1]] - tiles.time[part[0]] >= LASTING_S and _moves(motion[part]) for part in mine)
            settled[rows] = lasting or _moves(motion[rows]) or _unknown(motion[rows])
    return settled & ~np.isin(found.tile_of, np.flatnonzero(found.role == SHARE))


def _unknown(motion: np.ndarray) -> bool:
    """Whether too little is known of a picture to say that it is still."""
    known = motion[np.isfinite(motion)]
    return len(known) < FEWEST_KNOWN and not (len(known) >= FEWEST_STILL and known.max() < NOTHING)
