"""Figures of a run against the truth of a generated meeting."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from crowdmood.faces import overlap
from tests.meetings import Truth

SAME_TILE, SAME_FACE = 0.9, 0.4  # IoU; a drawn face's edges are a matter of taste, so faces need less
LEAST = 20.0  # pixels, of faces that must be found
REACH_S = 3.0  # a boundary found farther away than this is none
AROUND_S = 4.0  # how long before and after a change of layout a person's number is looked at


@dataclass
class Figures:
    """Counts of one meeting, so that they add up over many.

    tile_*: tiles of frames right, wrong, missed; boundary_errors: seconds, of true boundaries that were found; boundaries_missed,
    boundaries_false; id_*: identity true positives, false positives and misses (IDF1 = 2 tp / (2 tp + fp + fn)); switches: of
    persons' numbers; switches_moved: those at a change of layout; turns, turns_right: seconds of speech, and those given to the
    right person; faces, faces_found: live faces of 20 px and more; dead_faces: faces reported where nobody live is.
    """

    tile_right: int = 0
    tile_wrong: int = 0
    tile_missed: int = 0
    boundary_errors: tuple[float, ...] = ()
    boundaries_missed: int = 0
    boundaries_false: int = 0
    id_right: int = 0
    id_wrong: int = 0
    id_missed: int = 0
    switches: int = 0
    switches_moved: int = 0
    seconds: float = 0.0
    turns: float = 0.0
    turns_right: float = 0.0
    faces: int = 0
    faces_found: int = 0
    dead_faces: int = 0

    def __add__(self, other: Figures) -> Figures:
        mine, others = asdict(self), asdict(other)
        return Figures(**{name: value + type(value)(others[name]) for name, value in mine.items()})

    @property
    def tile_recall(self) -> float:
        return _ratio(self.tile_right, self.tile_right + self.tile_missed)

    @property
    def tile_precision(self) -> float:
        return _ratio(self.tile_right, self.tile_right + self.tile_wrong)

    @property
    def tile_f1(self) -> float:
        return _ratio(2 * self.tile_right, 2 * self.tile_right + self.tile_wrong + self.tile_missed)

    @property
    def idf1(self) -> float:
        return _ratio(2 * self.id_right, 2 * self.id_right + self.id_wrong + self.id_missed)

    @property
    def switches_per_hour(self) -> float:
        return self.switches * 3600 / max(self.seconds, 1e-9)

    @property
    def attribution(self) -> float:
        return _ratio(self.turns_right, self.turns)

    @property
    def face_recall(self) -> float:
        return _ratio(self.faces_found, self.faces)

    @property
    def boundary(self) -> tuple[float, float]:
        """Median and largest error, seconds; infinite where a boundary was missed."""
        errors = [*self.boundary_errors, *[float("inf")] * self.boundaries_missed] or [0.0]
        return float(np.median(errors)), max(errors)


@dataclass(frozen=True)
class Seen:
    """What a run saw, as data frames with the columns of QUERIES."""

    frames: pd.DataFrame
    faces: pd.DataFrame
    tiles: pd.DataFrame
    speech: pd.DataFrame


QUERIES = ("SELECT frame, time_s, cut FROM frames ORDER BY frame",
           "SELECT frame, x1, y1, x2, y2, coalesce(person, 0) AS person FROM faces ORDER BY frame",
           "SELECT DISTINCT segment, tile, start_s, end_s, x1, y1, x2, y2 FROM tiles WHERE tile > 0 ORDER BY start_s, tile",
           "SELECT start_s, end_s, person FROM speech WHERE kind = 'transcript' ORDER BY start_s")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def figures(run, truth: Truth) -> Figures:
    """Compare a complete crowdmood run with the truth."""
    return compare(Seen(*(run.sql(query).to_pandas() for query in QUERIES)), truth)


def compare(seen: Seen, truth: Truth) -> Figures:
    """The figures of what was seen."""
    analyzed = np.array(seen.frames["frame"])
    faces = np.array(seen.faces, float).reshape(-1, 6)
    pairs = paired(truth.faces[np.isin(truth.faces[:, 0], analyzed)], faces)
    right, wrong, missed = tile_counts(seen.tiles, truth, analyzed)
    cut = np.array(seen.frames["time_s"])[np.array(seen.frames["cut"], bool)]
    errors, lost, false = boundary_counts(truth, cut)
    identity = identity_counts(pairs, analyzed)
    turns, turns_right = speech_counts(seen.speech, truth, pairs)
    large = (pairs[:, 3] >= LEAST) & (pairs[:, 1] >= 0)
    return Figures(right, wrong, missed, errors, lost, false, *identity, switches_moved(truth, pairs), float(truth.times[-1]), turns,
                   turns_right, int(large.sum()), int((large & (pairs[:, 2] >= 0)).sum()), int((pairs[:, 1] < 0).sum()))


def paired(true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Rows (frame, person in truth or -1, number in the run or -1 (0: none given), size) of all faces of either side."""
    rows = []
    for frame in np.union1d(true[:, 0], found[:, 0]):
        there, here = true[true[:, 0] == frame], found[found[:, 0] == frame]
        both = _pairs(there[:, 1:5], here[:, 1:5], SAME_FACE)
        size = np.sqrt((there[:, 3] - there[:, 1]) * (there[:, 4] - there[:, 2]))
        rows += [(frame, there[a, 5], here[b, 5], size[a]) for a, b in both]
        rows += [(frame, there[a, 5], -1, size[a]) for a in set(range(len(there))) - {a for a, _ in both}]
        rows += [(frame, -1, here[b, 5], 0) for b in set(range(len(here))) - {b for _, b in both}]
    return np.array(rows, float).reshape(-1, 4)


def _pairs(true: np.ndarray, found: np.ndarray, least: float) -> list[tuple[int, int]]:
    """The best one-to-one pairs of boxes (m, 4) and (n, 4) that overlap by at least so much."""
    if not len(true) or not len(found):
        return []
    table = np.stack([overlap(box, found) for box in true])
    return [(int(a), int(b)) for a, b in zip(*linear_sum_assignment(-table), strict=True) if table[a, b] >= least]


def tile_counts(table: pd.DataFrame, truth: Truth, analyzed: np.ndarray) -> tuple[int, int, int]:
    """Tiles of all analyzed frames that are right, wrong, missed."""
    boxes, start, end = np.array(table[["x1", "y1", "x2", "y2"]], float), np.array(table["start_s"]), np.array(table["end_s"])
    last = end.max(initial=0)
    right = wrong = missed = 0
    for at in truth.times[analyzed]:
        true = np.array([tile.box for tile in segment_at(truth, at).tiles], float)
        here = boxes[(start <= at) & ((at < end) | (end == last))]
        both = len(_pairs(true, here, SAME_TILE))
        right, wrong, missed = right + both, wrong + len(here) - both, missed + len(true) - both
    return right, wrong, missed


def segment_at(truth: Truth, at: float):
    """The true segment at a moment."""
    return next((segment for segment in truth.segments if segment.start_s <= at < segment.end_s), truth.segments[-1])


def boundary_counts(truth: Truth, found: np.ndarray) -> tuple[tuple[float, ...], int, int]:
    """Errors of the boundaries found, how many were missed, how many are none. A camera that goes on or off may be one."""
    true = np.array([segment.start_s for segment in truth.segments if segment.moved][1:])
    may = np.array([segment.start_s for segment in truth.segments if not segment.moved])
    away = np.abs(true[:, None] - found[None, :])
    pairs = [(a, b) for a, b in zip(*linear_sum_assignment(np.minimum(away, 10 * REACH_S)), strict=True) if away[a, b] <= REACH_S]
    rest = [at for b, at in enumerate(found) if b not in {b for _, b in pairs} and not (np.abs(may - at) <= 0.5).any()]
    return tuple(round(float(away[a, b]), 3) for a, b in pairs), len(true) - len(pairs), len(rest)


def identity_counts(pairs: np.ndarray, analyzed: np.ndarray) -> tuple[int, int, int, int]:
    """Identity true positives, false positives, misses, and switches of numbers; by motmetrics where it is installed."""
    try:
        import motmetrics
    except ImportError:
        return own_identity_counts(pairs)
    named = pairs[(pairs[:, 1] >= 0) | (pairs[:, 2] > 0)]
    seen = motmetrics.MOTAccumulator()
    for frame in analyzed:
        rows = named[named[:, 0] == frame]
        true, found = rows[rows[:, 1] >= 0, 1], rows[rows[:, 2] > 0, 2]
        away = np.full((len(true), len(found)), np.nan)
        for row in rows[(rows[:, 1] >= 0) & (rows[:, 2] > 0)]:
            away[np.flatnonzero(true == row[1])[0], np.flatnonzero(found == row[2])[0]] = 0.1
        seen.update(true.astype(int), found.astype(int), away, frameid=int(frame))
    counts = motmetrics.metrics.create().compute(seen, metrics=["idtp", "idfp", "idfn", "num_switches"], return_dataframe=False)
    return tuple(int(counts[name]) for name in ("idtp", "idfp", "idfn", "num_switches"))


def own_identity_counts(pairs: np.ndarray) -> tuple[int, int, int, int]:
    """The same, reckoned here: the best one-to-one naming of persons by numbers."""
    both = pairs[(pairs[:, 1] >= 0) & (pairs[:, 2] > 0)]
    true, found = both[:, 1].astype(int), both[:, 2].astype(int)
    table = np.zeros((true.max(initial=0) + 1, found.max(initial=0) + 1), int)
    np.add.at(table, (true, found), 1)
    right = int(table[linear_sum_assignment(table, maximize=True)].sum())
    switches = sum(int((np.diff(found[true == person]) != 0).sum()) for person in np.unique(true))
    return right, int((pairs[:, 2] > 0).sum()) - right, int((pairs[:, 1] >= 0).sum()) - right, switches


def switches_moved(truth: Truth, pairs: np.ndarray) -> int:
    """Persons whose number (that of most frames) is another after a change of layout than before."""
    switches = 0
    times = truth.times[pairs[:, 0].astype(int)] if len(pairs) else np.zeros(0)
    both = (pairs[:, 1] >= 0) & (pairs[:, 2] > 0)
    starts = [0.0, *[segment.start_s for segment in truth.segments if segment.moved][1:], truth.times[-1] + 1]
    for before, at, after in zip(starts, starts[1:], starts[2:], strict=False):
        early = both & (times >= max(before, at - AROUND_S)) & (times < at)
        late = both & (times >= at) & (times < min(after, at + AROUND_S))
        for person in np.intersect1d(pairs[early, 1], pairs[late, 1]):
            switches += _most(pairs[early & (pairs[:, 1] == person), 2]) != _most(pairs[late & (pairs[:, 1] == person), 2])
    return int(switches)


def _most(numbers: np.ndarray) -> float:
    values, counts = np.unique(numbers, return_counts=True)
    return float(values[np.argmax(counts)])


def speech_counts(speech_rows: pd.DataFrame, truth: Truth, pairs: np.ndarray) -> tuple[float, float]:
    """Seconds of the transcript's speech, and those that were given to the right person.

    Nobody is right where no face of the speaker was ever seen, or they were not in the picture whenever they spoke.
    """
    both = pairs[(pairs[:, 1] >= 0) & (pairs[:, 2] > 0)]
    whose = {number: _most(both[both[:, 2] == number, 1]) for number in np.unique(both[:, 2])}
    seen = set(both[:, 1])
    shown = {speech.who for speech in truth.speeches for segment in truth.segments
             if segment.start_s < speech.end_s and speech.start_s < segment.end_s for tile in segment.tiles if tile.who == speech.who}
    rows = speech_rows.astype(object).where(speech_rows.notna(), None).to_dict("records")
    turns = right = 0.0
    for speech in truth.speeches:
        mine = set(truth.persons[speech.who])
        turns += speech.end_s - speech.start_s
        for row in rows:
            shared = max(0.0, min(row["end_s"], speech.end_s) - max(row["start_s"], speech.start_s))
            given = whose.get(row["person"] or 0)
            can_be_known = mine & seen and speech.who in shown
            if given in mine or (not can_be_known and row["person"] is None):
                right += shared
    return turns, right
