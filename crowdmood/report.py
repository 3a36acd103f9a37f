"""The report of a run: one HTML file that needs nothing else, and timeline.png beside it.

All figures are answers of the SQL files in reports/; this module only lays them out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from crowdmood import __version__
from crowdmood.clock import format_time
from crowdmood.curves import Curves, curves_of, ticks
from crowdmood.drawing import area_paths, faces_paths, mix_paths, person_paths, script_hash
from crowdmood.errors import ResultsError
from crowdmood.files import write_aside
from crowdmood.models import list_models
from crowdmood.palette import EXPRESSION_COLOURS, LABEL_INKS, STACK_ORDER
from crowdmood.plots import timeline_png
from crowdmood.results import Run, list_runs
from crowdmood.shipped import shipped
from crowdmood.sql_reports import report_sql

FEW_PERSONS = 5
MINUTES_FROM_S = 600  # shorter recordings have a happiest second, longer ones a happiest minute
MOST_FIGURES = 24
PERSON_ORDER = "SELECT * FROM persons ORDER BY seen_s DESC, person LIMIT 60"


def build_report(run: Run) -> Path:
    """Write index.html and timeline.png into the run's report folder; returns the path of index.html.

    Raises ResultsError when the run is not complete or the folder cannot be written.
    """
    info = run.info
    if info["status"] != "complete":
        raise ResultsError(f"run {run.id} of {info['recording']} is not complete; "
                           f"`crowdmood analyze {info['path']}` goes on with it")
    answers = figures(run)
    index = run.report_folder / "index.html"
    page = render(info, answers)
    try:
        with write_aside(index.with_name("timeline.png")) as aside:
            timeline_png(aside, curves_of(answers["bins"]), answers["overview"], info["recording"])
        with write_aside(index) as aside:
            aside.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"report folder {index.parent} cannot be written: {error.strerror or error}") from error
    return index


def figures(run: Run) -> dict[str, Any]:
    """Everything a report says, asked in SQL.

    overview: dict; mix, happiest, moments, persons (the 60 seen longest), spans: list of dict; bins: Arrow table.
    """
    names = ("mix", "happiest", "moments", "spans")
    answers = {name: run.sql(report_sql(name)).to_pylist() for name in names}
    overview = run.sql(report_sql("overview")).to_pylist()
    empty = {"frames": 0, "faces": 0, "usable_faces": 0, "coverage": None, "persons": 0, "usable_persons": 0,
             "start_s": 0.0, "end_s": 0.0, "positivity": None, **dict.fromkeys(STACK_ORDER)}
    return answers | {"overview": overview[0] if overview else empty, "bins": run.sql(report_sql("bins")),
                      "persons": run.sql(PERSON_ORDER).to_pylist()}


def newest_run(results: Path) -> Run:
    """The complete run that was started last. Raises ResultsError when there is none."""
    complete = [row for row in list_runs(results) if row["status"] == "complete"]
    if not complete:
        raise ResultsError(f"no complete run in {results} yet; `crowdmood analyze VIDEO` makes one")
    return Run(complete[-1]["run"], results)


def render(info: dict[str, Any], answers: dict[str, Any]) -> str:
    """The HTML text from a run's row and its `figures`."""
    templates = shipped("reports") / "templates"
    environment = Environment(loader=FileSystemLoader(templates), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"clock": _clock, "percent": _percent, "count": _count, "signed": _signed}
    curves = curves_of(answers["bins"])
    script = (templates / "report.js").read_text(encoding="utf-8")
    return environment.get_template("report.html.j2").render(
        info=info, **answers, **_chart(curves), version=__version__, colours=EXPRESSION_COLOURS, inks=LABEL_INKS,
        order=STACK_ORDER, few=FEW_PERSONS, best=_happiest(answers), rows=_person_rows(answers, curves),
        cards=list(_cards(info)), steps=_steps(answers["bins"]),
        style=Markup((templates / "report.css").read_text(encoding="utf-8")), script=Markup(script),
        script_hash=script_hash(script))


def _chart(curves: Curves) -> dict[str, Any]:
    start, end = curves.span
    places = [(100 * (place - start) / (end - start), format_time(place)) for place in ticks(start, end, 11)]
    return {"start_s": start, "end_s": end, "ticks": places, "mix_paths": mix_paths(curves),
            "positivity_paths": area_paths(curves, curves.positivity), "faces_paths": faces_paths(curves),
            "most_faces": int(np.max(curves.most_faces, initial=0)) or 1}


def _happiest(answers: dict[str, Any]) -> dict[str, Any] | None:
    """The happiest minute of a long recording, the happiest second of a short one."""
    span = "minute" if answers["overview"]["end_s"] - answers["overview"]["start_s"] >= MINUTES_FROM_S else "second"
    return next((row for row in answers["happiest"] if row["span"] == span), None)


def _person_rows(answers: dict[str, Any], curves: Curves) -> list[dict[str, Any]]:
    paths = person_paths(answers["spans"], curves.span)
    return [row | {"paths": paths.get(row["person"], {})} for row in answers["persons"]]


def _steps(bins: pa.Table) -> Markup:
    """The steps as JSON for the page's script: shares in per mille; safe inside a script element."""
    curves = curves_of(bins)
    shares = [[None if np.isnan(value) else round(1000 * value) for value in row] for row in curves.mix.T]
    rows = [[round(start, 2), round(end, 2), mix, None if np.isnan(positivity) else round(positivity, 2),
             round(faces, 1), round(usable, 1), int(persons)]
            for start, end, mix, positivity, faces, usable, persons in zip(
                curves.start.tolist(), curves.end.tolist(), shares, curves.positivity.tolist(), curves.faces.tolist(),
                curves.usable_faces.tolist(), curves.persons.tolist(), strict=True)]
    return Markup(json.dumps(rows, separators=(",", ":")).replace("<", "\\u003c"))


def _cards(info: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The run's models: name and sha256 as recorded, and the card of the installed model that has that very file."""
    installed = list_models()
    for name, digest in sorted((info["models"] or {}).items()):
        card = next((model.card for model in installed if digest in model.card.get("files", {}).values()), None)
        yield {"name": name, "sha256": digest, "card": card, "figures": list(_measured(card or {}))[:MOST_FIGURES]}


def _measured(card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values of what was measured; of a comparison of models only the card's own column."""
    metrics = card.get("metrics", {})
    yield from _flat(metrics.get(card.get("name"), metrics))
    yield from _flat(card.get("held_out", {}), "held out: ")


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Numbers as text; a number's interval and n (x_low, x_high, x_n, x_interval) stand behind it."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key} ")
        elif isinstance(value, (int, float, str)) and not _belongs_to_another(key, table):
            low, high = table.get(f"{key}_interval") or (table.get(f"{key}_low"), table.get(f"{key}_high"))
            behind = [] if low is None or high is None else [f"{low:.4g} to {high:.4g}"]
            behind += [f"n {table[f'{key}_n']:,}"] if f"{key}_n" in table else []
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            yield f"{prefix}{key}".replace("_", " "), f"{text} ({', '.join(behind)})" if behind else text


def _belongs_to_another(key: str, table: dict[str, Any]) -> bool:
    name, _, last = key.rpartition("_")
    return last in ("low", "high", "n") and name in table


def _clock(seconds: float | None) -> str:
    return "unknown" if seconds is None else format_time(round(seconds) if seconds >= 60 else round(seconds, 1))


def _percent(share: float | None, digits: int = 0) -> str:
    return "\u2013" if share is None else f"{100 * share:.{digits}f}\u202f%"


def _count(number: float | None) -> str:
    return "\u2013" if number is None else f"{number:,}"


def _signed(number: float | None) -> str:
    return "\u2013" if number is None else f"{number:+.2f}".replace("-", "\u2212")
