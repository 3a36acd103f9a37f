"""Association: faces of successive frames become tracks.

Frame by frame, the faces are matched with the tracks that are alive: first the faces with a high score, then,
with the tracks left over, the faces with a low one. What remains begins new tracks. Nearly every face gets a
track here; which tracks are believed is decided afterwards (`crowdmood.persons`).

A match is judged by the distance between centres against what the motion model allows, by the ratio of sizes,
and by overlap. At 5 frames a second a walker's face moves more than its own width: overlap alone will not do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdmood import motion
from crowdmood.assignment import assign
from crowdmood.camera import common_shift
from crowdmood.cuts import FrameRows

# Columns of the state of live tracks, float64 (k, 13): centre, velocity (px/s), covariance of place and
# velocity (one for both axes), logarithms of width and height, spread of the velocity (faces/s, squared),
# last seen (s), sightings, usual score.
X, Y, VX, VY, P00, P01, P11, LOG_W, LOG_H, SPEED, LAST, SEEN, SCORE = range(13)
COLUMNS = 13
GATE = 13.8            # squared distance in standard deviations: 99.9 % of true matches lie within
# A match costs its negative log likelihood; above the limit track and face are better left alone. The
# likelier one of them is a false detection, the less a far-fetched match is worth: the limit rises as the
# lower of both scores goes from LIMIT_BAND below `high` to LIMIT_BAND above it.
LIMIT_BAND, LIMIT_LOW, LIMIT_HIGH = 0.1, 1.0, 4.0
SIZE_SPREAD = 0.12     # standard deviation of the logarithm of size between two sightings, ...
SIZE_DRIFT = 0.25      # ... and what each second adds to it (times the square root of seconds)
SCORE_SPREAD = 0.2     # scores of one face differ about this much; it keeps a clear face from a ghost's track
SCORE_LIMIT = 3.0      # ... and costs at most this, for a face that is half hidden scores low
OVERLAP = 0.35         # boxes with this intersection over union may match whatever the motion says
GHOST_OVERLAP = 0.25   # a low score upon a high one by this is the same head again
LAYOUT_OVERLAP, LAYOUT_SHARE, LAYOUT_ALONE = 0.5, 0.6, 0.75
LONGEST_STEP_S = 5.0   # between two analyzed frames further apart than this nothing is known


@dataclass(frozen=True)
class FaceRows:
    """All faces of a recording, sorted by frame.

    frame: int64 (m,) as in `FrameRows.frame`. time: float64 (m,) seconds.
    box: float32 (m, 4) x1 y1 x2 y2 pixels. score: float32 (m,) 0..1.
    """

    frame: np.ndarray
    time: np.ndarray
    box: np.ndarray
    score: np.ndarray


@dataclass(frozen=True)
class LinkSettings:
    """What linking may assume. Times are in recorded seconds, whatever the frame rate.

    high: faces with at least this score are matched first, and one of them is needed to believe a short
        track; it belongs to the detector, whose scale of scores it is on.
    lost_s: a track without a sighting stays alive this long.
    join_s: two tracks are joined across a gap up to this long; rest_s: up to this if the face kept still.
    min_seen, min_seen_s: frames, and seconds from first to last, that a track must have.
    low_seen_s: seconds that a track must last if none of its faces reached `high`.
    sure: a face with this score counts even if it is seen once.
    """

    high: float = 0.5
    lost_s: float = 1.2
    join_s: float = 2.5
    rest_s: float = 8.0
    min_seen: int = 2
    min_seen_s: float = 0.15
    low_seen_s: float = 3.0
    sure: float = 0.8


@dataclass(frozen=True)
class Alive:
    """Tracks that may go on. state: float64 (k, 13), see above; names: int64 (k,), their numbers; begun: how many there were so far."""

    state: np.ndarray
    names: np.ndarray
    begun: int

    def only(self, rows: np.ndarray) -> Alive:
        """Those of some rows."""
        return Alive(self.state[rows], self.names[rows], self.begun)


NONE_ALIVE = Alive(np.zeros((0, COLUMNS)), np.zeros(0, np.int64), 0)


def associate(faces: FaceRows, frames: FrameRows, cut: np.ndarray,
              settings: LinkSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return (track int64 (m,), scene int64 (n,)).

    Tracks count from 0 by first appearance; -1 is a ghost upon another face. A track lies within one scene
    and has at most one face in a frame.
    Scenes count the cuts, except those across which the faces stay where they were.
    """
    bounds = np.searchsorted(faces.frame, np.append(frames.frame, np.iinfo(np.int64).max))
    track = np.full(len(faces.frame), -1, np.int64)
    ends = np.zeros(len(cut), bool)
    cuts_so_far = np.cumsum(cut)
    alive, before = NONE_ALIVE, -1
    for i in np.flatnonzero(np.diff(bounds)):
        rows, time = slice(bounds[i], bounds[i + 1]), frames.time[i]
        seen = _measure(faces.box[rows], faces.score[rows])
        kept = alive.state[:, LAST] >= _oldest(frames.time, i, settings) - 1e-9
        if before >= 0 and cuts_so_far[i] != cuts_so_far[before]:
            ends[i] = not _same_layout(alive.state, seen, frames.time[before], time)
            kept &= not ends[i]
        alive, track[rows] = _followed(alive.only(kept), seen, time, settings)
        before = i
    return track, np.cumsum(ends)


def follow(alive: Alive, box: np.ndarray, score: np.ndarray, time: float, settings: LinkSettings) -> tuple[Alive, np.ndarray]:
    """The same for the next frame of a camera: the tracks alive after it, and the tracks of its faces, int64 (m,), -1 as above.

    box: float32 (m, 4). score: float32 (m,). time: seconds, rising from frame to frame.
    """
    return _followed(alive.only(alive.state[:, LAST] >= time - settings.lost_s), _measure(box, score), time, settings)


def _followed(alive: Alive, seen: np.ndarray, time: float, settings: LinkSettings) -> tuple[Alive, np.ndarray]:
    """Match the faces of one frame with the tracks that are alive; those left over begin new ones."""
    state, match = _step(alive.state, seen, time, settings)
    fresh = (match < 0) & ~_ghosts(seen, settings.high)
    track = np.full(len(seen), -1, np.int64)
    track[match >= 0] = alive.names[match[match >= 0]]
    track[fresh] = np.arange(alive.begun, alive.begun + fresh.sum())
    names = np.concatenate([alive.names, track[fresh]])
    return Alive(np.concatenate([state, _born(seen[fresh], time)]), names, alive.begun + int(fresh.sum())), track


def _measure(box: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return float64 (m, 5): centre x, centre y, logarithm of width, of height, score."""
    box = box.astype(np.float64)
    width, height = np.maximum(box[:, 2] - box[:, 0], 1e-3), np.maximum(box[:, 3] - box[:, 1], 1e-3)
    return np.stack([(box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2,
                     np.log(width), np.log(height), score.astype(np.float64)], axis=1)


def _oldest(times: np.ndarray, i: int, settings: LinkSettings) -> float:
    """Return the time since which a track must have been seen to be alive at frame `i`."""
    oldest = times[i] - settings.lost_s
    # Sampled sparsely, the frame before may be further back than that; it is still the frame before.
    if i and times[i] - times[i - 1] <= LONGEST_STEP_S:
        oldest = min(oldest, times[i - 1])
    return oldest


def _born(seen: np.ndarray, time: float) -> np.ndarray:
    """Return the state of tracks that begin with these faces."""
    state = np.zeros((len(seen), COLUMNS))
    size = np.exp((seen[:, 2] + seen[:, 3]) / 2)
    state[:, X], state[:, Y], state[:, LOG_W], state[:, LOG_H] = seen[:, :4].T
    state[:, P00] = motion.jitter_variance(size)
    state[:, SPEED] = motion.NEW_SPEED ** 2
    state[:, P11] = state[:, SPEED] * size * size
    state[:, LAST], state[:, SEEN], state[:, SCORE] = time, 1, seen[:, 4]
    return state


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return intersection over union, (k, m), of boxes given as centre x, centre y, width, height."""
    near = [np.minimum.outer(first[:, c] + first[:, c + 2] / 2, second[:, c] + second[:, c + 2] / 2)
            - np.maximum.outer(first[:, c] - first[:, c + 2] / 2, second[:, c] - second[:, c + 2] / 2)
            for c in (0, 1)]
    common = np.maximum(near[0], 0) * np.maximum(near[1], 0)
    return common / (np.add.outer(first[:, 2] * first[:, 3], second[:, 2] * second[:, 3]) - common)


def _boxes(rows: np.ndarray, log_width: int) -> np.ndarray:
    """Return (k, 4) centre x, centre y, width, height of rows whose first columns are the centre."""
    return np.column_stack([rows[:, :2], np.exp(rows[:, log_width:log_width + 2])])


def _places(rows: np.ndarray, log_width: int) -> np.ndarray:
    """Return (k, 3) centre x, centre y, logarithm of size."""
    return np.column_stack([rows[:, :2], (rows[:, log_width] + rows[:, log_width + 1]) / 2])


def _ghosts(seen: np.ndarray, high: float) -> np.ndarray:
    """Return bool (m,): faces of a low score upon a face of a high one; they never begin a track."""
    low = seen[:, 4] < high
    ghost = np.zeros(len(seen), bool)
    if low.any() and not low.all():
        ghost[low] = (_overlap(_boxes(seen[low], 2), _boxes(seen[~low], 2)) >= GHOST_OVERLAP).any(axis=1)
    return ghost


def _same_layout(state: np.ndarray, seen: np.ndarray, time_before: float, time: float) -> bool:
    """True if, across a cut, most faces are where faces were: a gallery beside a slide that changed.

    One face alone proves little, for interviews cut between faces in the same place: it must overlap well.
    """
    before = state[state[:, LAST] >= time_before - 1e-9]
    if time - time_before > 1.0 or not len(before):
        return False
    overlap = _overlap(_boxes(before, LOG_W), _boxes(seen, 2))
    if min(overlap.shape) == 1:
        return max(overlap.shape) <= 2 and bool(overlap.max() >= LAYOUT_ALONE)
    kept = min((overlap >= LAYOUT_OVERLAP).any(axis=0).sum(), (overlap >= LAYOUT_OVERLAP).any(axis=1).sum())
    return bool(kept >= max(2, LAYOUT_SHARE * len(before)))


def _step(state: np.ndarray, seen: np.ndarray, time: float,
          settings: LinkSettings) -> tuple[np.ndarray, np.ndarray]:
    """Match the faces of one frame; return the state moved on and, for each face, its row of it or -1."""
    match = np.full(len(seen), -1, np.int64)
    if not len(state):
        return state, match
    ahead = _predict(state, time)
    newest = ahead[:, LAST] == ahead[:, LAST].max()
    shift = common_shift(_places(ahead[newest], LOG_W), _places(seen, 2))
    state = state.copy()
    state[:, X:Y + 1] += shift
    ahead[:, X:Y + 1] += shift
    benefit = _benefit(ahead, seen, time, settings.high)
    high = seen[:, 4] >= settings.high
    rows, columns = assign(benefit * high)
    match[columns] = rows
    if not high.all():
        benefit[rows] = 0.0
        rows, columns = assign(benefit * ~high)
        match[columns] = rows
    found = match >= 0
    state[match[found]] = _updated(ahead[match[found]], seen[found], time)
    return state, match


def _predict(state: np.ndarray, time: float) -> np.ndarray:
    """Return the state as it should be at `time`; LAST stays."""
    ahead = state.copy()
    size_squared = np.exp(state[:, LOG_W] + state[:, LOG_H])
    reach, keep, place, both, velocity = motion.drift(time - state[:, LAST], state[:, SPEED] * size_squared)
    ahead[:, X] += reach * state[:, VX]
    ahead[:, Y] += reach * state[:, VY]
    ahead[:, VX] *= keep
    ahead[:, VY] *= keep
    ahead[:, P00] += reach * (2.0 * state[:, P01] + reach * state[:, P11]) + place
    ahead[:, P01] = keep * (state[:, P01] + reach * state[:, P11]) + both
    ahead[:, P11] = keep * keep * state[:, P11] + velocity
    return ahead


def _benefit(ahead: np.ndarray, seen: np.ndarray, time: float, high: float) -> np.ndarray:
    """Return (k, m): how much better than leaving both alone it is to match them; 0 where it must not be."""
    log_size = (ahead[:, LOG_W] + ahead[:, LOG_H]) / 2
    size = np.exp(log_size)
    spread = ahead[:, P00] + motion.jitter_variance(size)
    dx, dy = np.subtract.outer(ahead[:, X], seen[:, 0]), np.subtract.outer(ahead[:, Y], seen[:, 1])
    distance = (dx * dx + dy * dy) / spread[:, None]
    gap = time - ahead[:, LAST]
    ratio = np.abs(np.subtract.outer(log_size, (seen[:, 2] + seen[:, 3]) / 2))
    size_fits = ratio <= np.minimum(0.5 + 0.3 * gap, 0.9)[:, None]
    cost = 0.5 * distance + np.log(spread / size ** 2)[:, None]
    cost += ratio * ratio * (0.5 / (SIZE_SPREAD ** 2 + SIZE_DRIFT ** 2 * gap))[:, None]
    unlike = np.subtract.outer(ahead[:, SCORE], seen[:, 4]) / SCORE_SPREAD
    cost += np.minimum(0.5 * unlike * unlike, SCORE_LIMIT)
    limit = np.interp(np.minimum.outer(ahead[:, SCORE], seen[:, 4]),
                      (high - LIMIT_BAND, high + LIMIT_BAND), (LIMIT_LOW, LIMIT_HIGH))
    benefit = np.where(size_fits & (distance <= GATE), np.maximum(limit - cost, 0.0), 0.0)
    overlap = _overlap(_boxes(ahead, LOG_W), _boxes(seen, 2))
    return np.where(size_fits & (overlap >= OVERLAP), np.maximum(benefit, overlap), benefit)


def _updated(ahead: np.ndarray, seen: np.ndarray, time: float) -> np.ndarray:
    """Return the predicted states corrected by the faces they were matched with."""
    state = ahead.copy()
    size_squared = np.exp(seen[:, 2] + seen[:, 3])
    spread = ahead[:, P00] + motion.jitter_variance(np.sqrt(size_squared))
    gain, turn = ahead[:, P00] / spread, ahead[:, P01] / spread
    for place, velocity, column in ((X, VX, 0), (Y, VY, 1)):
        surprise = seen[:, column] - ahead[:, place]
        state[:, place] += gain * surprise
        state[:, velocity] += turn * surprise
    state[:, P00] = (1.0 - gain) * ahead[:, P00]
    state[:, P01] = (1.0 - gain) * ahead[:, P01]
    state[:, P11] = ahead[:, P11] - turn * ahead[:, P01]
    state[:, LOG_W:LOG_H + 1] += 0.5 * (seen[:, 2:4] - ahead[:, LOG_W:LOG_H + 1])
    state[:, SCORE] += 0.3 * (seen[:, 4] - ahead[:, SCORE])
    # How fast this face moves is learned from itself: quickly at first, then over about a second.
    shown = ((state[:, VX] ** 2 + state[:, VY] ** 2) / 2 + state[:, P11]) / size_squared
    trust = np.maximum(1.0 - np.exp(-(time - ahead[:, LAST])), 1.0 / (ahead[:, SEEN] + 1.0))
    speed = ahead[:, SPEED] + trust * (shown - ahead[:, SPEED])
    state[:, SPEED] = np.clip(speed, motion.REST_SPEED ** 2, motion.TOP_SPEED ** 2)
    state[:, LAST], state[:, SEEN] = time, ahead[:, SEEN] + 1
    return state
