"""Cuts: where a new scene starts, told from frame signatures alone.

A cut changes what is where. So two frames are compared as structure: the 16 x 9 brightness thumbnail is split
into twelve blocks, each block is correlated with the other frame's, under the shift of the picture that fits
best. Correlation does not see gain, so flashes and stage lights pass; the shift lets pans pass; letterbox
bars weigh little. The colour histograms add evidence, but alone they never make a cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdmood.signature import COLUMNS, ROWS, THUMBNAIL_BYTES

SCORE = 0.74         # a step this unlike is a cut; on hand-noted clips cuts have 0.79 and more, motion 0.60
RISE = 0.25          # ... if it is this much more than the steps around it: a shaky hand makes no row of cuts
SCORE_CERTAIN = 0.88  # ... but never more than this is asked, or a slide show would have no cuts
HISTOGRAM_CAP = 0.4  # the most that colours can add
NEIGHBOURS = 3       # steps on each side that say what is usual here
FLASH_S = 0.7        # a picture that comes back within this time was never gone
ALIKE = 0.5          # below this two frames show the same scene
BLEND_S = 0.6        # half the time across which a dissolve is looked for
BLEND_MISFIT = 0.3   # share of the change that a mix of both ends may leave unexplained
BLACK = 28           # a thumbnail whose brightest cell is darker than this, and flat, is black
ROW_SHIFTS, COLUMN_SHIFTS = 2, 4
FLAT = 16.0          # variance (grey levels squared) of noise: two blocks below it agree
BLOCK = 2048         # pairs compared at a time: bounds the memory


@dataclass(frozen=True)
class FrameRows:
    """Every analyzed frame, in order.

    frame: int64 (n,) position in the recording, increasing. time: float64 (n,) seconds, increasing.
    signature: uint8 (n, 180), see `crowdmood.signature`.
    """

    frame: np.ndarray
    time: np.ndarray
    signature: np.ndarray


def find_cuts(frames: FrameRows) -> np.ndarray:
    """Return bool (n,): True where a new scene starts at that frame; never at the first.

    Works at any frame rate, also an uneven one. A dissolve is marked at its middle, a fade through black at
    the first picture after it, and at the first black one if it comes suddenly. A flash, a change of light or
    a pan is no cut.
    """
    cut = np.zeros(len(frames.time), bool)
    if len(cut) < 2:
        return cut
    score = _unlikeness(frames.signature, np.arange(len(cut) - 1), np.arange(1, len(cut)))
    cut[1:] = score >= _threshold(score)
    black = _black(frames.signature)
    cut[1:] |= black[:-1] & ~black[1:]
    cut[_returning(frames, np.flatnonzero(cut), black)] = False
    cut[_dissolves(frames, cut)] = True
    return cut


def _threshold(score: np.ndarray) -> np.ndarray:
    """Return the score each step needs: more where the steps around it are restless."""
    padded = np.pad(score, NEIGHBOURS, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1)
    around = np.delete(windows, NEIGHBOURS, axis=1)
    known = np.isfinite(around).any(axis=1)
    usual = np.zeros(len(score))
    usual[known] = np.nanmedian(around[known], axis=1)
    return np.clip(usual + RISE, SCORE, SCORE_CERTAIN)


def _unlikeness(signature: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return float64 (k,) in 0..1.4 for k pairs of frames: 0 the same picture, about 1 nothing in common."""
    parts = [_unlikeness_block(signature[before[i:i + BLOCK]], signature[after[i:i + BLOCK]])
             for i in range(0, len(before), BLOCK)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _unlikeness_block(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    histogram = np.abs(before[:, THUMBNAIL_BYTES:].astype(np.float32) - after[:, THUMBNAIL_BYTES:])
    colour = histogram.sum(axis=1) / (2.0 * 3 * 255)
    score = np.minimum(colour, HISTOGRAM_CAP).astype(np.float64)
    first, second = _thumbnails(before), _thumbnails(after)
    # Nearly the same brightness everywhere: no need to look for a shift, and most steps end here.
    moved = np.abs(first - second).mean(axis=(1, 2)) > 4.0
    if moved.any():
        score[moved] += 1.0 - _best_correlation(first[moved], second[moved])
    return score


def _thumbnails(signature: np.ndarray) -> np.ndarray:
    return signature[:, :THUMBNAIL_BYTES].reshape(-1, ROWS, COLUMNS).astype(np.float32)


def _blocks(thumbnails: np.ndarray) -> np.ndarray:
    """Return (n, 12, 12): twelve blocks of 3 x 4 cells."""
    n = len(thumbnails)
    return thumbnails.reshape(n, 3, 3, 4, 4).transpose(0, 1, 3, 2, 4).reshape(n, 12, 12)


def _best_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the mean correlation of the blocks, -1..1, at the shift of `first` where it is largest."""
    weight = _blocks(np.clip(np.maximum(first, second) / 40.0, 0.02, 1.0))  # dark bars say little
    share = weight.sum(axis=2)
    weight /= share[..., None]
    target, target_variance = _centred(_blocks(second), weight)
    padded = np.pad(first, ((0, 0), (ROW_SHIFTS,) * 2, (COLUMN_SHIFTS,) * 2), mode="edge")
    best = np.full(len(first), -1.0, np.float32)
    for down in range(2 * ROW_SHIFTS + 1):
        for right in range(2 * COLUMN_SHIFTS + 1):
            block, variance = _centred(_blocks(padded[:, down:down + ROWS, right:right + COLUMNS]), weight)
            common = np.einsum("nbc,nbc->nb", block * weight, target) + FLAT
            agreement = common / np.sqrt((variance + FLAT) * (target_variance + FLAT))
            texture = share * np.minimum(1.0, np.maximum(variance, target_variance) / 100.0) + 0.5
            np.maximum(best, (agreement * texture).sum(axis=1) / texture.sum(axis=1), out=best)
    return best


def _centred(blocks: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the blocks less their weighted mean, and their weighted variance."""
    centred = blocks - np.einsum("nbc,nbc->nb", blocks, weight)[..., None]
    return centred, np.einsum("nbc,nbc->nb", centred * weight, centred)


def _black(signature: np.ndarray) -> np.ndarray:
    thumbnail = signature[:, :THUMBNAIL_BYTES]
    return (thumbnail.max(axis=1) < BLACK) & (thumbnail.astype(np.float32).std(axis=1) < 3.0)


def _returning(frames: FrameRows, cuts: np.ndarray, black: np.ndarray) -> np.ndarray:
    """Return those of `cuts` that a flash or a short blackout made: the picture from before it comes back."""
    # The picture before a cut out of black is the last one before the black began.
    lit = np.maximum.accumulate(np.where(black, -1, np.arange(len(black))))
    from_black = black[cuts - 1]
    before = np.where(from_black, lit[cuts - 1], cuts - 1)
    last = np.searchsorted(frames.time, frames.time[before + 1] + FLASH_S, side="right") - 1
    first = np.where(from_black, cuts, cuts + 1)
    # At most eight later frames are looked at, spread evenly, so that the cost does not depend on the rate.
    later = first[:, None] + ((last - first)[:, None] * np.linspace(0, 1, 8)[None]).round().astype(int)
    some = (last >= first) & (before >= 0)
    later[~some] = 0
    pairs = _unlikeness(frames.signature, np.repeat(before, 8), later.ravel()).reshape(-1, 8)
    pairs[~some] = np.inf
    back = np.full(len(cuts), -1)
    found = (pairs < ALIKE).any(axis=1)
    back[found] = later[found, pairs[found].argmin(axis=1)]
    reach = np.maximum.accumulate(back) if len(back) else back
    return cuts[(cuts <= reach)]


def _dissolves(frames: FrameRows, cut: np.ndarray) -> np.ndarray:
    """Return the frames in the middle of a dissolve: a mix of the pictures before and after, which differ."""
    n = len(cut)
    before = np.searchsorted(frames.time, frames.time - BLEND_S, side="right") - 1
    after = np.searchsorted(frames.time, frames.time + BLEND_S, side="left")
    scene = np.cumsum(cut)
    middle = np.flatnonzero((before >= 0) & (after < n) & (after - before >= 4))
    middle = middle[scene[before[middle]] == scene[after[middle]]]
    # A fade is a mix with black, but it is marked where the black begins or ends.
    visible = frames.signature[:, :THUMBNAIL_BYTES].std(axis=1) >= 10.0
    middle = middle[visible[before[middle]] & visible[after[middle]]]
    misfit, mix, change = _blend(frames.signature, before[middle], middle, after[middle])
    fits = (misfit < BLEND_MISFIT) & (np.abs(mix - 0.5) < 0.3) & (change > 12.0)
    middle, mix = middle[fits], mix[fits]
    unlike = _unlikeness(frames.signature, before[middle], after[middle]) >= SCORE
    middle, mix = middle[unlike], mix[unlike]
    if not len(middle):
        return middle
    run = np.cumsum(np.diff(frames.time[middle], prepend=-np.inf) > BLEND_S)
    best = np.lexsort((np.abs(mix - 0.5), run))
    return middle[best[np.unique(run[best], return_index=True)[1]]]


def _blend(signature: np.ndarray, before: np.ndarray, middle: np.ndarray,
           after: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit middle = (1 - mix) * before + mix * after; return misfit (0..1, share of change), mix, change."""
    a, b, c = (signature[rows, :THUMBNAIL_BYTES].astype(np.float32) for rows in (before, middle, after))
    way, gone = c - a, b - a
    length = np.maximum((way * way).sum(axis=1), 1.0)
    mix = (way * gone).sum(axis=1) / length
    rest = gone - mix[:, None] * way
    return np.sqrt((rest * rest).sum(axis=1) / length), mix, np.abs(way).mean(axis=1)
