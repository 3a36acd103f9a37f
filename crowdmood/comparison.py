"""Several runs side by side (same show, other night): one HTML file, and pictures for slides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crowdmood.answers import headline
from crowdmood.canvas import save
from crowdmood.crowd_plots import mix_bars, positivity_lines
from crowdmood.curves import curves_of
from crowdmood.errors import ResultsError
from crowdmood.files import write_aside
from crowdmood.labels import EXPRESSIONS
from crowdmood.pages import inline, render
from crowdmood.results import FEW_PERSONS, Run, local_folder

PICTURES = ("positivity", "mix")


def compare_runs(runs: Sequence[Run], min_persons: int = FEW_PERSONS) -> Path:
    """Write index.html, positivity and mix (PNG and SVG) into reports/comparisons; returns the path of index.html.

    runs: two or more, all complete, of one results folder. Raises ResultsError when one is not complete or twice there, or the
    folder cannot be written.
    """
    if len({run.id for run in runs}) < len(runs):
        raise ResultsError("a run can be compared with others only, not with itself")
    if photos := next((run for run in runs if run.info["layout"] == "photos"), None):
        raise ResultsError(f"run {photos.id} is of photos, which have no time to compare; `crowdmood report {photos.id}` shows the best of them")
    rows = [_facts(run, min_persons) for run in runs]
    for row, name in zip(rows, _names(rows), strict=True):
        row["name"] = name
    lines = positivity_lines([(row["name"], curves_of(row["bins"])) for row in rows])
    total = {key: sum(row["overview"][key] for row in rows) for key in ("persons", "faces", "usable_faces", "end_s")}
    bars = mix_bars([_part(row) for row in rows], total | {"start_s": 0.0}, "Mix compared", "recording")
    page = render("compare.html.j2", rows=rows, few=min_persons, measures=_measures(rows), pictures=PICTURES,
                  lines=inline(lines), bars=inline(bars))
    folder = local_folder(runs[0].results) / "reports" / "comparisons" / hashlib.sha256("".join(run.id for run in runs).encode()).hexdigest()[:12]
    try:
        for name, figure in zip(PICTURES, (lines, bars), strict=True):
            for form in ("png", "svg"):
                save(figure, folder / f"{name}.{form}")
        with write_aside(folder / "index.html") as aside:
            aside.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"report folder {folder} cannot be written: {error.strerror or error}") from error
    return folder / "index.html"


def _facts(run: Run, few: int) -> dict[str, Any]:
    info = run.require_complete()
    overview = run.ask("overview").to_pylist()
    if not overview:
        raise ResultsError(f"run {run.id} of {info['recording']} has no figures, so there is nothing to compare")
    return {"info": info, "overview": overview[0], "headline": headline(run, few), "bins": run.ask("bins")}


def _names(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The recordings' names; with the run's id where two are called the same."""
    names = [row["info"]["recording"] for row in rows]
    return [name if names.count(name) == 1 else f"{name} {row['info']['run'][:6]}" for name, row in zip(names, rows, strict=True)]


def _measures(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """measure and meaning of all that any run has a value of, in the order of the headline figures."""
    known = {measure: row for one in rows for measure, row in one["headline"].items() if row["value"] is not None}
    order = list(dict.fromkeys(measure for one in rows for measure in one["headline"]))
    return [known[measure] for measure in order if measure in known]


def _part(row: dict[str, Any]) -> dict[str, Any]:
    """A run as a part, as `mix_bars` wants it."""
    overview, figure = row["overview"], row["headline"].get("positivity") or dict.fromkeys(("low", "high"))
    return {name: overview[name] for name in ("start_s", "end_s", "positivity", *EXPRESSIONS)} | {
        "name": row["name"], "low": figure["low"], "high": figure["high"], "persons": overview["usable_persons"],
        "faces": overview["usable_faces"], "few": overview["usable_persons"] < FEW_PERSONS}
