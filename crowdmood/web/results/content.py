"""What the page of a run says: the figures of its report, laid out around the film."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from pyarrow.parquet import read_metadata

from crowdmood.answers import figures
from crowdmood.errors import VideoError
from crowdmood.meeting_answers import meeting
from crowdmood.pages import SHARES
from crowdmood.palette import DIVERGING
from crowdmood.report import page_values
from crowdmood.results import FEW_PERSONS
from crowdmood.schemas import TABLES
from crowdmood.thumbnails import ERASED, GONE, MOST, NO_PERSONS, moment_pictures
from crowdmood.web.results.films import find_film
from crowdmood.web.results.found_runs import FoundRun
from crowdmood.web.web_pages import part

SAID = ("overview", "headline", "mix", "happiest", "moments", "persons", "meeting")


@dataclass(frozen=True)
class Content:
    """heading: what stands above the film. page: everything below it. figures: what programs are told."""

    heading: Markup
    page: Markup
    figures: dict[str, Any]


def content_of(found: FoundRun) -> Content:
    """What is said of a complete run. Raises ResultsError."""
    run, info = found.run, found.info
    answers = figures(run)
    answers["meeting"] = meeting(run)
    shown = {"aggregate": not run.keeps_persons, "faces_shown": False} | _thumbnails(found, answers)
    values = page_values(info, answers | shown, False, FEW_PERSONS)
    page = part("result_content.html.j2", **values, shares=SHARES, classes=range(len(DIVERGING)), run=run.id, tables=_tables(found))
    heading = part("facts.html.j2", info=info, overview=answers["overview"])
    said = {name: answers[name] for name in SAID if answers[name] is not None}
    return Content(heading, page, said | {"headline": list(answers["headline"].values())})


def pictures_of(found: FoundRun) -> list[bytes | None]:
    """JPEG pictures of the moments that the page shows, faces pixelated; None where there is none."""
    moments = found.run.ask("moments").to_pylist()[:MOST]
    pictures, _ = moment_pictures(found.run, moments)
    return [pictures.get(moment["peak_s"]) for moment in moments]


def _thumbnails(found: FoundRun, answers: Mapping[str, Any]) -> dict[str, Any]:
    """thumbnails: addresses of pictures by peak_s; why_none: why there are none. They are made when a browser asks for them."""
    why_none = NO_PERSONS if not found.run.keeps_persons else ERASED if found.info.get("erased") else GONE.partition(";")[0]
    with suppress(VideoError):
        if not found.info.get("erased") and found.run.keeps_persons:
            find_film(found.info)
            addresses = {moment["peak_s"]: f"/api/runs/{found.run.id}/moments/{place}" for place, moment in enumerate(answers["moments"][:MOST])}
            return {"thumbnails": addresses, "why_none": ""}
    return {"thumbnails": {}, "why_none": why_none if answers["moments"] else ""}


def _tables(found: FoundRun) -> list[dict[str, Any]]:
    """name, meaning and number of rows of each table in which the run has any."""
    files = [(name, path) for name in TABLES if (path := found.table(name))]
    tables = [{"name": name, "meaning": TABLES[name].metadata[b"description"].decode(), "rows": read_metadata(path).num_rows} for name, path in files]
    return [table for table in tables if table["rows"]]
