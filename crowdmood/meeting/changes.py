"""Changes: where other people are shown in the same places - tiles change their order, or the stage its speaker."""

from __future__ import annotations

import numpy as np

from crowdmood.cuts import FrameRows
from crowdmood.layout.finding import ROLES
from crowdmood.layout.marks import LABEL_SAME, LOOK_SAME, label_distance, look_distance
from crowdmood.meeting.live import ACTIVE_STEP, SHARE, look_steps, stretches
from crowdmood.meeting.name_pictures import NamePictures
from crowdmood.meeting.segments import CHANGE_S, Segments, TileRows, groups

STAGE = ROLES.index("stage")
LABEL_S, LABEL_ROWS = 0.35, 2  # a name seen for less was misread
MOST_NAMES = 60       # different names looked for in one tile
OTHER_LOOK = LOOK_SAME / 5  # a new name means a new person if the look changes by so much for good, too, ...
STRANGERS_LOOK = LOOK_SAME / 8  # ... less if both names are known, as two people's
AVATAR_MOTION = 1.0   # ... and it moves by so much at once, as avatars else never do
JUMP_MOTION = 5.0     # a cut inside a tile changes it at least so much ...
CUT_MOTION = 15.0     # nobody moves so much in a small tile
JUMP_LOOK = LOOK_SAME / 2  # ... and its look for good:
JUMP_PAIRS = (1, 2, 4)       # all these rows before and after differ
NAME_REACH = 25       # rows within which a name says whether a jump is another person


def find_changes(tiles: TileRows, found: Segments, live: np.ndarray, pictures: NamePictures, frames: FrameRows) -> np.ndarray:
    """Return the frame rows (increasing) at which a tile or several show somebody else than before.

    live: int8 (k,), see `tile_live.live_rows`. Where no name is seen, a picture that changes for good is somebody
    else if the camera is on (or off) before and after, or on the stage; else it is a camera that was switched, unless
    tiles have changed places with each other.
    """
    changed, switched = [], []
    for tile, rows in found.rows():
        if found.role[tile] == SHARE or len(rows) < 2 * LABEL_ROWS:
            continue
        motion, names = tiles.motion[rows], _names(tiles.label[rows])
        changed.append(rows[_renamed(names, tiles, rows, pictures, live[rows] == 1)])
        jumps = _jumps(names, tiles.look[rows], motion)
        switch = (live[rows[jumps - 1]] != live[rows[jumps]]) & (found.role[tile] != STAGE)
        changed.append(rows[jumps[~switch]])
        switched.append(np.column_stack([rows[jumps[switch] - 1], rows[jumps[switch]]]))
    if switched:
        changed.append(_swapped(tiles, found, np.concatenate(switched)))
    at = found.frame_of[np.concatenate(changed)] if changed else np.zeros(0, np.int64)
    row, votes = np.unique(at, return_counts=True)
    return np.array([row[group][np.argmax(votes[group])] for group in groups(frames.time[row], CHANGE_S)], np.int64)


def _names(label: np.ndarray) -> np.ndarray:
    """Return int64 (n,): equal numbers for rows with the same name; -1 where none is seen or it was misread."""
    name, left = np.full(len(label), -1, np.int64), np.flatnonzero(label.any(axis=1))
    for number in range(MOST_NAMES):
        if not len(left):
            break
        same = label_distance(label[left], label[left[:1]])[:, 0] <= LABEL_SAME
        if same.sum() >= LABEL_ROWS:
            name[left[same]] = number
        left = left[~same]
    return name


def _renamed(name: np.ndarray, tiles: TileRows, rows: np.ndarray, pictures: NamePictures, live: np.ndarray) -> np.ndarray:
    """Return the rows (places in `rows`) at which another name appears together with another picture."""
    named = np.flatnonzero(name >= 0)
    bounds = stretches(name[named])
    time, look, motion = tiles.time[rows[named]], tiles.look[rows], tiles.motion[rows]
    first, last = bounds[:-1], bounds[1:] - 1
    lasting = (last - first + 1 >= LABEL_ROWS) & (time[last] - time[first] >= LABEL_S) if len(named) else np.zeros(0, bool)
    at = []
    for old, new in zip(np.flatnonzero(lasting)[:-1], np.flatnonzero(lasting)[1:], strict=True):
        if name[named[last[old]]] != name[named[first[new]]]:
            row = _most_changed(look, motion, named[last[old]] + 1, named[first[new]])
            ends = tiles.label[rows[named[[last[old], first[new]]]]]
            if _is_new_picture(tiles, rows, row, live, pictures.strangers(ends[:1], ends[1:])):
                at.append(row)
    return np.array(at, np.int64)


def _most_changed(look: np.ndarray, motion: np.ndarray, low: int, high: int) -> int:
    """Return the row in low..high whose picture differs most from the one before; the last of equals."""
    step = look_steps(look, np.arange(low, high + 1)) + np.nan_to_num(motion[low:high + 1]) / 255
    return high - int(np.argmax(step[::-1]))


def _is_new_picture(tiles: TileRows, rows: np.ndarray, row: int, live: np.ndarray, strangers: bool) -> bool:
    """Whether another camera, or another avatar, is shown from `row` on; signs beside the name change the name alone.

    strangers: the names are known to be of two people, so that less of a change is enough.
    """
    motion = tiles.motion[rows[row]]
    lasting = _lasting_change(tiles.look[rows], np.array([row]))[0]
    if strangers and (lasting >= STRANGERS_LOOK or motion >= CUT_MOTION):
        return True
    framed = np.ptp(tiles.active[rows[max(row - 2, 0):row + 2]]) > ACTIVE_STEP  # a speaker frame changes the name's picture
    if motion < (JUMP_MOTION if framed else AVATAR_MOTION):
        return False
    both_still = not live[row - 1:row + 1].any()
    return bool(lasting >= OTHER_LOOK or both_still and np.isfinite(motion))  # avatars look alike but for the letters in the middle


def _jumps(name: np.ndarray, look: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Return the rows at which the picture changes for good, where names do not say that it is the same person."""
    row = np.flatnonzero(~(motion < JUMP_MOTION))
    row = row[row > 0]
    named = np.flatnonzero(name >= 0)
    after = np.searchsorted(named, row)
    padded = np.concatenate([[-NAME_REACH - 1], named, [len(name) + NAME_REACH]])
    told = (row - padded[after] <= NAME_REACH) & (padded[after + 1] - row <= NAME_REACH)
    told[told] = name[padded[after[told]]] == name[padded[after[told] + 1]]
    row = row[~told]
    return row[_lasting_change(look, row) >= JUMP_LOOK]


def _lasting_change(look: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return float32 (r,): how far the pictures before and after the rows differ at least, 0..1."""
    return np.min([look_steps(look, row, near, near - 1) for near in JUMP_PAIRS], axis=0)


def _swapped(tiles: TileRows, found: Segments, rows: np.ndarray) -> np.ndarray:
    """Of switches (w, 2), tile rows before and after, return the rows after where tiles took each other's picture."""
    rows = rows[np.argsort(found.frame_of[rows[:, 1]], kind="stable")]
    time, swapped = tiles.time[rows[:, 1]], []
    for group in groups(time, CHANGE_S):
        before, after = rows[group].T
        unlike = look_distance(tiles.look[after], tiles.look[before])
        elsewhere = unlike.min(axis=1) <= LOOK_SAME
        if len(group) > 1 and (elsewhere & (unlike.argmin(axis=1) != np.arange(len(group)))).sum() > 1:
            swapped.extend(after)
    return np.array(swapped, np.int64)
