"""Who of the persons in the picture is which speaker: whom the picture marks while somebody speaks. No pixels, no files.

    person, confidence = attribute(spoken, lit, speakers=3)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

STEP_S = 0.1
LAGS_S = (-1.0, 3.0)  # the picture marks a speaker that much later than the side file says, at least and at most
ENOUGH_S = 2.0  # after e times so much common time little is left to chance
SURE = 0.5  # below this confidence nobody is named


@dataclass(frozen=True)
class Spans:
    """Who does something from when to when: start_s, end_s float64 (k,), who int32 (k,), -1 for nobody who is known."""

    start_s: np.ndarray
    end_s: np.ndarray
    who: np.ndarray


def attribute(spoken: Spans, lit: Spans, speakers: int) -> tuple[np.ndarray, np.ndarray]:
    """The person that each speaker is, int32 (speakers,), -1 where nobody is likely enough; and how sure that is, float32, 0..1.

    spoken: who of speakers 0.. speaks; lit: which person (1..) the picture marks. No person is two speakers. The confidence is 0
    where another one fits as well, by the share of their own time that speaker and person have in common, so that who speaks most
    does not drown the others; 1 where nobody else fits; less after few seconds.
    """
    person, confidence = np.full(speakers, -1, np.int32), np.zeros(speakers, np.float32)
    persons = np.unique(lit.who[lit.who >= 0])
    if not len(persons) or not speakers or not len(spoken.who):
        return person, confidence
    columns = np.where(lit.who >= 0, np.searchsorted(persons, lit.who), len(persons))  # the last one: somebody who is not known
    common = _common(spoken, Spans(lit.start_s, lit.end_s, columns), (speakers, len(persons) + 1))
    for speaker, column in zip(*_assigned(common[:, :-1]), strict=True):
        sure = (1 - _rivals(common, speaker, column)) * (1 - np.exp(-common[speaker, column] / ENOUGH_S))
        if sure >= SURE:
            person[speaker], confidence[speaker] = persons[column], sure
    return person, confidence


def _rivals(common: np.ndarray, speaker: int, column: int) -> float:
    """How well the next speaker fits the person, or the next person the speaker: 0, not at all, to 1, as well."""
    time = common[speaker, column]
    if not time:
        return 1.0
    ratios = []
    for table, at, own in ((common, speaker, column), (common.T, column, speaker)):
        share = table / np.maximum(table.sum(axis=1, keepdims=True), STEP_S)
        # In seconds and in shares of their own time: so neither who speaks most nor who hardly speaks is a rival by that alone.
        ratios.append(np.delete(np.minimum(table[:, own] / time, share[:, own] / share[at, own]), at).max(initial=0))
    return max(ratios)


def _common(spoken: Spans, lit: Spans, shape: tuple[int, int]) -> np.ndarray:
    """Seconds (speakers, persons) in which one speaks alone and the other is marked, at the lag that explains most of them."""
    steps = int(np.ceil(max(spoken.end_s.max(), lit.end_s.max()) / STEP_S)) + round(LAGS_S[1] / STEP_S) + 1
    speaks, marked = _sampled(spoken, steps), _sampled(lit, steps)
    tables = []
    for lag in range(round(LAGS_S[0] / STEP_S), round(LAGS_S[1] / STEP_S) + 1, 2):
        now, then = (speaks[:steps - lag], marked[lag:]) if lag >= 0 else (speaks[-lag:], marked[:lag])
        both = (now >= 0) & (then >= 0)
        tables.append(np.bincount(now[both] * shape[1] + then[both], minlength=shape[0] * shape[1]).reshape(shape) * STEP_S)
    return max(tables, key=lambda table: table[_assigned(table[:, :-1])].sum())


def _sampled(spans: Spans, steps: int) -> np.ndarray:
    """Who it is at each step, -1 where nobody, or several at once."""
    who, count = np.full(steps, -1, np.int64), np.zeros(steps + 1, np.int64)
    first = np.round(spans.start_s / STEP_S).astype(int).clip(0, steps)
    last = np.round(spans.end_s / STEP_S).astype(int).clip(0, steps)
    for start, end, one in zip(first, last, spans.who, strict=True):
        count[start:end] += who[start:end] != one  # of the same one twice is once
        who[start:end] = one
    return np.where(count[:-1] == 1, who, -1)


def _assigned(common: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that belong to each other: those with the most time in common, relative to what both have."""
    total = common.sum(axis=1, keepdims=True) + common.sum(axis=0, keepdims=True)
    return linear_sum_assignment(np.divide(2 * common, total, out=np.zeros_like(common), where=total > 0), maximize=True)
