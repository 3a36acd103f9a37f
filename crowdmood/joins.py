"""Joining: the track of a person who was hidden for a moment, and the track that begins when they return.

Two tracks are joined only where it is safe: the second begins where the first should be by then, with the
velocity and size to match, and nobody else could have been meant. Everything else stays apart: one person
counted twice is a smaller error than two people made one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdmood import motion
from crowdmood.tracks import FaceRows, LinkSettings

EDGE_S = 0.6         # place, velocity and size at a track's end are taken from so much of it
PLAUSIBLE = 2.0      # standard deviations of the prediction within which a return is believed
RIVAL = 1.5          # ... if every other candidate is worse by at least so many
FARTHEST = 2.5       # faces (sizes) between prediction and return, at most
SIZE_RATIO = 0.4     # largest difference of the logarithms of size
STILL_SPEED, STILL_DISTANCE = 0.6, 0.6   # faces per second, and faces: what counts as not having moved
WALKING_SPEED = 1.0  # faces per second: above this, a direction is meant
ROUNDS = 3           # a join made can leave another without rivals
BLOCK = 4096         # tracks whose candidates are listed at a time: bounds the memory


@dataclass(frozen=True)
class Edges:
    """One end of each of k tracks: time (k,) s, place (k, 2) px, velocity (k, 2) px/s, size (k,) px."""

    time: np.ndarray
    place: np.ndarray
    velocity: np.ndarray
    size: np.ndarray


def successors(faces: FaceRows, track: np.ndarray, scene: np.ndarray, settings: LinkSettings) -> np.ndarray:
    """Return int64 (k,): for each of k tracks the track that continues the same person, or -1.

    track: int64 (m,), 0 to k - 1, or -1 for faces of no track. scene: (k,), the scene of each track.
    No track is continued twice or continues two, and a successor begins after its predecessor has ended.
    """
    starts, stops = _edges(faces, track, len(scene), False), _edges(faces, track, len(scene), True)
    first, second, doubt = _candidates(starts, stops, scene, settings)
    follower = np.full(len(scene), -1, np.int64)
    for _ in range(ROUNDS):
        chosen = (doubt <= PLAUSIBLE) & (doubt + RIVAL <= np.minimum(
            _next_best(first, doubt, len(scene)), _next_best(second, doubt, len(scene))))
        if not chosen.any():
            break
        follower[first[chosen]] = second[chosen]
        free = ~np.isin(first, first[chosen]) & ~np.isin(second, second[chosen])
        first, second, doubt = first[free], second[free], doubt[free]
    return follower


def _edges(faces: FaceRows, track: np.ndarray, count: int, at_end: bool) -> Edges:
    """Return the first or the last end of every track: a straight line through its outermost `EDGE_S`."""
    rows = np.flatnonzero(track >= 0)
    rows = rows[np.lexsort((faces.time[rows], track[rows]))]
    name, time = track[rows], faces.time[rows]
    side = "right" if at_end else "left"
    edge_time = time[np.searchsorted(name, np.arange(count), side=side) - int(at_end)]
    age = time - edge_time[name]
    near = np.abs(age) <= EDGE_S
    name, age, box = name[near], age[near], faces.box[rows[near]].astype(np.float64)
    centre = np.stack([(box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2], axis=1)
    size = np.sqrt(np.maximum((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]), 1e-6))

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(name, values, count) / np.bincount(name, minlength=count)

    middle, mean_size = mean(age), mean(size)
    # The ridge keeps a velocity drawn from two jittery boxes a few milliseconds apart from being believed.
    spread = mean(age * age) - middle ** 2 + 0.0025
    average = np.stack([mean(centre[:, axis]) for axis in (0, 1)], axis=1)
    common = np.stack([mean(age * centre[:, axis]) for axis in (0, 1)], axis=1) - middle[:, None] * average
    velocity = common / spread[:, None]
    return Edges(edge_time, average - velocity * middle[:, None], velocity, mean_size)


def _candidates(starts: Edges, stops: Edges, scene: np.ndarray,
                settings: LinkSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs (first, second) of tracks that may be one person, and the doubt in standard deviations."""
    order = np.argsort(starts.time, kind="stable")
    longest = max(settings.join_s, settings.rest_s)
    low = np.searchsorted(starts.time[order], stops.time, side="right")
    high = np.searchsorted(starts.time[order], stops.time + longest, side="right")
    found = []
    for begin in range(0, len(scene), BLOCK):
        block = np.arange(begin, min(begin + BLOCK, len(scene)))
        number = (high - low)[block]
        first = np.repeat(block, number)
        offset = np.arange(len(first)) - np.repeat(np.cumsum(number) - number, number)
        second = order[low[first] + offset]
        alike = (scene[first] == scene[second]) & (
            np.abs(np.log(stops.size[first] / starts.size[second])) <= SIZE_RATIO)
        first, second = first[alike], second[alike]
        doubt = _doubt(starts, stops, first, second, settings)
        possible = doubt <= PLAUSIBLE + RIVAL
        found.append((first[possible], second[possible], doubt[possible]))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    return tuple(np.concatenate(parts) for parts in zip(*found))


def _doubt(starts: Edges, stops: Edges, first: np.ndarray, second: np.ndarray,
           settings: LinkSettings) -> np.ndarray:
    """Return how far, in standard deviations, each return is from what was expected; inf if impossible."""
    gap = starts.time[second] - stops.time[first]
    size = np.sqrt(stops.size[first] * starts.size[second])
    leaving, coming = stops.velocity[first], starts.velocity[second]
    way = starts.place[second] - stops.place[first]
    speed = np.maximum(np.hypot(*leaving.T), np.hypot(*coming.T)) / size
    allowed = (np.clip(speed / np.sqrt(2), motion.REST_SPEED, motion.TOP_SPEED) * size) ** 2
    reach, _, variance, _, _ = motion.drift(gap, allowed)
    forth = np.hypot(*(way - reach[:, None] * leaving).T)
    back = np.hypot(*(way - reach[:, None] * coming).T)
    error = (forth + back) / 2
    doubt = error / np.sqrt(variance + 2 * motion.jitter_variance(size))
    # Walkers do not turn round while they are hidden; where one goes off and another comes, these are two.
    both_walk = np.minimum(np.hypot(*leaving.T), np.hypot(*coming.T)) > WALKING_SPEED * size
    turned = both_walk & ((leaving * coming).sum(axis=1) < 0)
    doubt[(gap > settings.join_s) | (error > FARTHEST * size) | turned] = np.inf
    still = (speed <= STILL_SPEED) & (gap <= settings.rest_s)
    distance = np.hypot(*way.T) / size
    # A face that kept still is expected where it was, however long ago; half a face off is the limit.
    return np.where(still, np.minimum(doubt, distance * PLAUSIBLE / STILL_DISTANCE), doubt)


def _next_best(group: np.ndarray, doubt: np.ndarray, count: int) -> np.ndarray:
    """Return for each pair the smallest doubt among the other pairs of the same `group`; inf without any."""
    order = np.lexsort((doubt, group))
    best, second = np.full(count, np.inf), np.full(count, np.inf)
    sorted_group, sorted_doubt = group[order], doubt[order]
    at = np.flatnonzero(np.diff(sorted_group, prepend=-1))
    best[sorted_group[at]] = sorted_doubt[at]
    after = at + 1
    after = after[(after < len(order))]
    after = after[sorted_group[after] == sorted_group[after - 1]]
    second[sorted_group[after]] = sorted_doubt[after]
    return np.where(doubt > best[group], best[group], second[group])
