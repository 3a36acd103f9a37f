"""The report of a run: one HTML file that needs nothing else, and pictures for slides beside it (PNG and SVG).

All figures are answers of the SQL files in reports/; this module only lays them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from crowdmood import crowd_plots, plots
from crowdmood.answers import MINUTES_FROM_S, figures
from crowdmood.canvas import save
from crowdmood.clock import format_time
from crowdmood.curves import Curves, Windows, curves_of, ticks, windows_of
from crowdmood.drawing import (
    area_paths,
    engagement_paths,
    faces_paths,
    heat_paths,
    mix_paths,
    synchrony_paths,
)
from crowdmood.errors import ResultsError
from crowdmood.files import write_aside
from crowdmood.heat import Heat, heat_of
from crowdmood.meeting_answers import meeting
from crowdmood.meeting_page import meeting_section
from crowdmood.model_cards import cards
from crowdmood.pages import as_json, render
from crowdmood.photos.report import write_report
from crowdmood.results import FEW_PERSONS, Run, list_runs
from crowdmood.thumbnails import MOST as MOST_MOMENTS
from crowdmood.thumbnails import thumbnails

PICTURES = ("timeline", "persons", "mix", "synchrony")


def build_report(run: Run, *, segments: Sequence[dict[str, Any]] = (), min_persons: int = FEW_PERSONS, faces: bool = False,
                 video: str | Path | None = None) -> Path:
    """Write index.html and the pictures into the run's report folder; returns the path of index.html.

    segments: to be compared, as `read_segments` gives them. min_persons: figures of fewer are called few. faces: show faces
    in the pictures of moments as they are. video: where the recording is now, None: where it was. Of photos it is the page of the
    best ones, with contact sheet. Raises VideoError when
    that is another one, ResultsError when the run is not complete or the folder cannot be written.
    """
    info = run.require_complete()
    if info["layout"] == "photos":
        return _photo_report(run, segments, video)
    answers = figures(run, segments, min_persons)
    pictures, why_none = thumbnails(run, answers["moments"], faces, video)
    answers["meeting"] = meeting(run, min_persons)
    shown = {"aggregate": not run.keeps_persons, "thumbnails": pictures, "why_none": why_none, "faces_shown": faces}
    index = run.report_folder / "index.html"
    try:
        _save_pictures(index.parent, info, answers, "segment" if segments else "")
        with write_aside(index) as aside:
            aside.write_text(_page(info, answers | shown, bool(segments), min_persons), encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"report folder {index.parent} cannot be written: {error.strerror or error}") from error
    return index


def _photo_report(run: Run, segments: Sequence[dict[str, Any]], folder: str | Path | None) -> Path:
    if segments:
        raise ResultsError(f"run {run.id} is of photos, which have no time; segments are parts of a recording")
    return write_report(run, folder)


def newest_run(results: Path) -> Run:
    """The complete run that was started last. Raises ResultsError when there is none."""
    complete = [row for row in list_runs(results) if row["status"] == "complete"]
    if not complete:
        raise ResultsError(f"no complete run in {results} yet; `crowdmood analyze VIDEO` makes one")
    return Run(complete[-1]["run"], results)


def _grids(answers: dict[str, Any]) -> tuple[Curves, Windows, Heat]:
    curves = curves_of(answers["bins"])
    overview = answers["overview"]
    gap = (overview["end_s"] - overview["start_s"]) / max(overview["frames"], 1)
    return curves, windows_of(answers["synchrony"]), heat_of(answers["heat"], curves.span, gap)


def _save_pictures(folder: Path, info: dict[str, Any], answers: dict[str, Any], of: str) -> None:
    """Each picture as PNG and SVG."""
    curves, windows, heat = _grids(answers)
    overview, title = answers["overview"], info["recording"]
    of = of or ("minute" if _is_minute(answers["parts"]) else "tenth of the recording")
    for name, figure in (
            ("timeline", plots.timeline(curves, windows, answers["moments"], overview, title)),
            ("persons", crowd_plots.persons_heat(heat, curves.span, overview, title)),
            ("mix", crowd_plots.mix_bars(answers["parts"], overview, title, of)),
            ("synchrony", plots.synchrony(windows, curves.span, overview, title, FEW_PERSONS))):
        for form in ("png", "svg"):
            save(figure, folder / f"{name}.{form}")


def _is_minute(parts: Sequence[dict[str, Any]]) -> bool:
    return bool(parts) and parts[0]["end_s"] - parts[0]["start_s"] == 60


def _page(info: dict[str, Any], answers: dict[str, Any], segmented: bool, few: int) -> str:
    """The HTML text from a run's row and its `figures`."""
    return render("report.html.j2", **page_values(info, answers, segmented, few))


def page_values(info: dict[str, Any], answers: dict[str, Any], segmented: bool, few: int) -> dict[str, Any]:
    """What the templates of a run's page want, from its row and its `figures` with `meeting` and what `build_report` adds."""
    curves, windows, heat = _grids(answers)
    paths = heat_paths(heat)
    rows = [row | {"paths": paths.get(row["person"], {})} for row in answers["persons"]]
    view = f"{(curves.span[0] - heat.start) / heat.step:.3f} -0.5 {(curves.span[1] - curves.span[0]) / heat.step:.3f} 1"
    return answers | {"meeting": meeting_section(answers["meeting"], info, curves.span)} | _chart(curves, windows) | {
        "info": info, "few": few, "segmented": segmented, "rows": rows,
        "best": _happiest(answers), "top": _top(answers), "cards": list(cards(info)), "pictures": PICTURES, "most_moments": MOST_MOMENTS,
        "engagement_paths": engagement_paths(answers["engagement"], curves.span), "stretches": _stretches(answers["engagement"]),
        "steps": _steps(curves), "windows": _windows(windows), "heat_data": _heat(heat), "heat_view": view,
        "window_count": len(windows.start), "sure_count": int(windows.significant.sum())}


def _chart(curves: Curves, windows: Windows) -> dict[str, Any]:
    start, end = curves.span
    places = [(100 * (place - start) / (end - start), format_time(place)) for place in ticks(start, end, 11)]
    return {"start_s": start, "end_s": end, "ticks": places, "mix_paths": mix_paths(curves),
            "positivity_paths": area_paths(curves, curves.positivity), "faces_paths": faces_paths(curves),
            "synchrony_paths": synchrony_paths(windows, curves.span),
            "most_faces": int(np.max(curves.most_faces, initial=0)) or 1}


def _happiest(answers: dict[str, Any]) -> dict[str, Any] | None:
    """The happiest minute of a long recording, the happiest second of a short one."""
    span = "minute" if answers["overview"]["end_s"] - answers["overview"]["start_s"] >= MINUTES_FROM_S else "second"
    return next((row for row in answers["happiest"] if row["span"] == span), None)


def _top(answers: dict[str, Any]) -> float:
    """The largest share, or end of an interval, of an expression: where the bars end."""
    rows = [answers["headline"].get(row["expression"], {}) for row in answers["mix"]]
    return max([row["share"] or 0 for row in answers["mix"]] + [row.get("high") or 0 for row in rows], default=0) or 1


def _steps(curves: Curves) -> Markup:
    """The steps for the page's script: start, end, shares in per mille, positivity, faces, usable faces, persons."""
    shares = [[None if np.isnan(value) else round(1000 * value) for value in row] for row in curves.mix.T]
    return as_json([[round(start, 2), round(end, 2), mix, None if np.isnan(positivity) else round(positivity, 2),
                     round(faces, 1), round(usable, 1), int(persons)]
                    for start, end, mix, positivity, faces, usable, persons in zip(
                        curves.start.tolist(), curves.end.tolist(), shares, curves.positivity.tolist(),
                        curves.faces.tolist(), curves.usable_faces.tolist(), curves.persons.tolist(), strict=True)])


def _windows(windows: Windows) -> Markup:
    """The windows for the page's script: start, end, synchrony, what is usual, persons, significant."""
    return as_json([[round(start, 2), round(end, 2), round(value, 3), round(usual, 3), int(persons), int(sure)]
                    for start, end, value, usual, persons, sure in zip(
                        windows.start.tolist(), windows.end.tolist(), windows.value.tolist(), windows.usual.tolist(),
                        windows.persons.tolist(), windows.significant.tolist(), strict=True)])


def _stretches(engagement: Sequence[dict[str, Any]]) -> Markup:
    """Engagement for the page's script: start, end, value, low, high, persons."""
    rounded = ((None if row[name] is None else round(row[name], 2) for name in
                ("start_s", "end_s", "engagement", "low", "high", "persons")) for row in engagement)
    return as_json([list(row) for row in rounded])


def _heat(heat: Heat) -> Markup:
    """The heat map for the page's script: persons' cells, hundredths of positivity, 'x' where unread, '' where absent."""
    cells = np.where(np.isnan(heat.positivity), np.where(heat.seen, "x", ""),
                     np.round(100 * np.nan_to_num(heat.positivity)).astype(int).astype(str))
    rows = {int(person): ",".join(row) for person, row in zip(heat.persons, cells, strict=True)}
    return as_json({"start": heat.start, "step": heat.step, "rows": rows})
