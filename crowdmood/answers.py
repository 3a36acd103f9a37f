"""Everything that the report of a run says, asked in SQL (the files in reports/)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pyarrow as pa

from crowdmood.labels import EXPRESSIONS
from crowdmood.results import FEW_PERSONS, Run
from crowdmood.segments import STRETCH_S, stretch_s

MINUTES_FROM_S = 600  # shorter recordings have a happiest second, longer ones a happiest minute
MOST_PERSONS = 240
PARTS = 10  # parts of equal length that the mix is drawn for when no segments are given
FEWEST_STRETCHES = 8  # of engagement, which compares a run's stretches with each other
PERSON_ORDER = f"SELECT * FROM persons ORDER BY seen_s DESC, person LIMIT {MOST_PERSONS}"
COUNTS = """
SELECT count(*) AS frames, coalesce(sum(faces), 0)::BIGINT AS faces, coalesce(min(time_s), 0) AS start_s,
    coalesce(max(time_s + shown_s), 0) AS end_s, coalesce((SELECT any_value(persons) FROM runs), 0) AS persons
FROM frames
"""
NO_HEAT = pa.Table.from_batches([], pa.schema({"person": pa.int32(), "start_s": pa.float64(), "end_s": pa.float64(), "positivity": pa.float64()}))
EMPTY = {"frames": 0, "faces": 0, "usable_faces": 0, "coverage": None, "persons": 0, "usable_persons": 0, "start_s": 0.0,
         "end_s": 0.0, "positivity": None, **dict.fromkeys(EXPRESSIONS)}


def figures(run: Run, segments: Sequence[dict[str, Any]] = (), few: int = FEW_PERSONS) -> dict[str, Any]:
    """What the page and the pictures show.

    overview: dict. headline: measure -> row. mix, happiest, moments, persons (those seen longest): list of dict. parts: the
    segments, else tenths of the recording, as `mix_bars` wants them. bins, heat, synchrony: Arrow tables. engagement: list of
    dict, empty where the recording is too short to compare its stretches.
    segments: as `read_segments` gives them. few: figures of fewer persons are called few.
    """
    overview = overview_of(run)
    return {
        "overview": overview,
        "headline": headline(run, few),
        **{name: run.ask(name).to_pylist() for name in ("mix", "happiest", "moments")},
        **{name: run.ask(name) for name in ("bins", "synchrony")},
        "heat": run.ask("heat") if run.keeps_persons else NO_HEAT,
        "engagement": _engagement(run, overview, few),
        "persons": run.sql(PERSON_ORDER).to_pylist(),
        "parts": _segments(run, segments, few) if segments else _tenths(run, overview, few),
    }


def overview_of(run: Run) -> dict[str, Any]:
    """The answer of `overview`; for a run that kept none, because it has fewer than five persons, what its frames say."""
    found = run.ask("overview").to_pylist()
    if found or run.keeps_persons:
        return (found or [EMPTY])[0]
    return EMPTY | run.sql(COUNTS).to_pylist()[0]


def headline(run: Run, few: int) -> dict[str, dict[str, Any]]:
    """measure -> value, low, high (95 % interval, None where there is none), unit, persons, faces, few, meaning."""
    rows = {row["measure"]: row for row in run.ask("headline", min_persons=few).to_pylist()}
    # Of curves of happy, while synchrony is of positivity: the two cannot stand in one query.
    windows = run.ask("smiles").to_pylist()
    if windows:
        persons = round(fmean(row["persons"] for row in windows))
        rows["smile_synchrony"] = {
            "measure": "smile_synchrony", "value": fmean(row["synchrony"] for row in windows), "low": None, "high": None,
            "unit": "-1..1", "persons": persons, "faces": None, "few": persons < few, "windows": len(windows),
            "usual": fmean(row["usual"] for row in windows), "sure": sum(row["significant"] for row in windows),
            "meaning": "mean over pairs of the largest correlation of their curves of happy at lags of -1, 0 and 1 s, mean over windows"}
    return rows


def _engagement(run: Run, overview: dict[str, Any], few: int) -> list[dict[str, Any]]:
    length = overview["end_s"] - overview["start_s"]
    if length < FEWEST_STRETCHES * STRETCH_S:
        return []
    rows = run.ask("engagement", every=stretch_s(length), min_persons=few).to_pylist()
    return [row for row in rows if row["engagement"] is not None]


def _segments(run: Run, segments: Sequence[dict[str, Any]], few: int) -> list[dict[str, Any]]:
    """One dict per segment from the long answer of segments.sql: a row for each segment and measure."""
    parts: dict[str, dict[str, Any]] = {segment["name"]: _part(segment) for segment in segments}
    for row in run.ask("segments", segments=list(segments), min_persons=few).to_pylist():
        part = parts[row["segment"]]
        part["measures"][row["measure"]] = row
        if row["measure"] in part:
            part[row["measure"]] = row["value"]
        if row["measure"] == "positivity":
            part |= {key: row[key] for key in ("low", "high", "persons", "faces")}
    return [part | {"few": part["persons"] < few} for part in parts.values()]


def _tenths(run: Run, overview: dict[str, Any], few: int) -> list[dict[str, Any]]:
    length = overview["end_s"] - overview["start_s"]
    if length <= 0 or not run.keeps_persons:
        return []
    step = 60 if 120 <= length <= 60 * PARTS else round(length / PARTS, 2)
    starts = [number * step for number in range(int(overview["start_s"] // step), math.ceil(overview["end_s"] / step - 1e-3))]
    edges = [*starts, overview["end_s"] + 1e-3]  # the last frame belongs to the last part
    parts = [{"name": str(number), "start_s": float(start), "end_s": float(end)}
             for number, (start, end) in enumerate(itertools.pairwise(edges))]
    return [part | {"name": "", "end_s": min(part["end_s"], overview["end_s"])} for part in _segments(run, parts, few)]


def _part(segment: dict[str, Any]) -> dict[str, Any]:
    return dict(segment) | dict.fromkeys(("positivity", "low", "high", *EXPRESSIONS)) | {
        "persons": 0, "faces": 0, "few": True, "measures": {}}
