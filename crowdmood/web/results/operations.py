"""Operations on runs, for programs and for the links of a run's page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi import Path as InAddress
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from crowdmood import catalog, exports, rows
from crowdmood.errors import VideoError, told
from crowdmood.files import bare_name, identity
from crowdmood.report import PICTURES
from crowdmood.results import list_runs, status_of
from crowdmood.schemas import TABLES
from crowdmood.web.refusals import NotFound
from crowdmood.web.results.content import Content, content_of, pictures_of
from crowdmood.web.results.films import Film, check_film, find_film
from crowdmood.web.results.found_runs import Found, FoundRun
from crowdmood.web.results.made_reports import made_report

router = APIRouter(prefix="/api/runs", tags=["results"])
KEPT = {"Cache-Control": "private, max-age=600"}
AGAIN = {"Cache-Control": "private, no-cache"}
Table = Literal["faces", "frames", "persons", "timeline", "runs", "tiles", "spotlights", "speech", "names", "aggregates", "photos"]
Picture = Literal["timeline", "persons", "mix", "synchrony"]

SEEN = """
SELECT time_s, any_value(frames.shown_s) AS shown_s, coalesce(list({
    'x1': x1, 'y1': y1, 'x2': x2, 'y2': y2, 'expression': if(usable, expression, 'uncertain'), 'share': if(usable, confidence, NULL), 'person': person
} ORDER BY face) FILTER (face IS NOT NULL), []) AS faces
FROM frames LEFT JOIN (SELECT * EXCLUDE (time_s) FROM faces WHERE time_s >= $start AND time_s < $end) AS seen USING (run, frame)
WHERE time_s >= $start AND time_s < $end GROUP BY frame, time_s ORDER BY time_s
"""


class RunRow(BaseModel):
    """A recording, analyzed in one way."""

    run: str = Field(description="The run's id.")
    recording: str = Field(description="File name of the recording.")
    status: str = Field(description="complete, unfinished or failed.")
    error: str | None = Field(description="Why it failed.")
    started: str | None = Field(description="When it started, UTC.")
    duration_s: float | None = Field(description="Length of the recording, seconds.")
    frames: int | None = Field(description="Frames looked at.")
    faces: int | None = Field(description="Faces found in them, each frame's counted anew.")
    persons: int | None = Field(description="Different persons; null until the run is complete.")


class SeenFace(BaseModel):
    """A face. x1, y1, x2, y2: left, top, right, bottom in pixels of the displayed picture."""

    x1: float
    y1: float
    x2: float
    y2: float
    expression: str = Field(description="The expression shown, or uncertain.")
    share: float | None = Field(description="Its probability, 0..1; null where it is uncertain.")
    person: int | None = Field(description="The person within this run; null on a face too brief to be followed.")


class SeenFrame(BaseModel):
    """An analyzed frame."""

    time_s: float
    shown_s: float | None = Field(description="Seconds until the next analyzed frame.")
    faces: list[SeenFace]


class Figures(BaseModel):
    """What a run says. Rows are those of the reports of these names: see /api/reports."""

    overview: dict[str, Any] = Field(description="Frames, faces, usable faces, coverage, persons, and the mix over usable faces.")
    headline: list[dict[str, Any]] = Field(description="Every measure with its 95 % interval (low, high), persons and faces behind it.")
    mix: list[dict[str, Any]] = Field(description="Share of each expression shown.")
    happiest: list[dict[str, Any]] = Field(description="The second and the minute with the largest share of happy.")
    moments: list[dict[str, Any]] = Field(description="When several persons changed the same way, strongest first.")
    persons: list[dict[str, Any]] = Field(description="The persons seen longest, as in the table persons.")
    meeting: dict[str, Any] | None = Field(default=None, description="Of a meeting: speakers, questions, attendance, layouts.")


@router.get("")
def runs(request: Request, contains: Annotated[str, Query(max_length=200, description="Part of the recording's name.")] = "",
         most: Annotated[int, Query(ge=1, le=10_000, description="So many at most, the newest.")] = 1000) -> list[RunRow]:
    """All runs, the newest first."""
    found = [row for row in reversed(list_runs(request.app.state.settings.results)) if contains.lower() in row["recording"].lower()]
    return [RunRow(**row | {"started": row["started"] and row["started"].isoformat()}) for row in found[:most]]


@router.get("/{run}")
def run_facts(found: Found) -> dict[str, Any]:
    """The run's row: the recording's facts, how it was analyzed, and how far (columns: /api/tables, table runs)."""
    return {name: rows.jsonable(value) for name, value in found.info.items()} | {"status": status_of(found.info)}


@router.get("/{run}/figures")
async def run_figures(request: Request, found: Found) -> Figures:
    """What the run's page says."""
    found.require_complete()
    return Figures(**rows.jsonable((await content(request, found)).figures))


@router.get("/{run}/tables/{table}", response_class=Response)
def run_table(found: Found, table: Annotated[Table, InAddress(description="See /api/tables.")],
              form: Annotated[Literal["parquet", "csv", "json"], Query(alias="format", description="The file's format.")] = "parquet") -> Response:
    """One of the run's tables as a file."""
    found.require_complete()
    path = found.table(table)
    if path is None:
        raise NotFound(f"This run has no table {table}.")
    name = f"{bare_name(found.info['recording'])}-{table}.{form}"
    if form == "parquet":
        return FileResponse(path, media_type="application/vnd.apache.parquet", filename=name)
    answer = catalog.ask(found.run.results, f"FROM {table}", found.run.id)
    pieces: Iterator[str] = rows.csv_pieces(answer) if form == "csv" else rows.json_pieces(answer)
    return StreamingResponse(pieces, media_type="text/csv" if form == "csv" else "application/json", headers=attached(name))


@router.get("/{run}/report", response_class=Response)
async def run_report(request: Request, found: Found) -> Response:
    """The report: one HTML file that needs nothing else."""
    index = await _report(request, found)
    return FileResponse(index, media_type="text/html", filename=f"{bare_name(found.info['recording'])}.html", headers=AGAIN)


@router.get("/{run}/pictures/{picture}", response_class=Response)
async def run_picture(request: Request, found: Found, picture: Annotated[Picture, InAddress(description="What it shows.")],
                      form: Annotated[Literal["png", "svg"], Query(alias="format", description="The file's format.")] = "png") -> Response:
    """A picture for slides."""
    path = (await _report(request, found)).with_name(f"{picture}.{form}")
    if not path.is_file():
        raise NotFound(f"There is no picture {picture} of this run.")
    return FileResponse(path, filename=f"{bare_name(found.info['recording'])}-{picture}.{form}", headers=AGAIN)


@router.get("/{run}/moods", response_class=Response)
def run_moods(found: Found) -> Response:
    """What was shown most, as a WebVTT track for video players."""
    found.require_complete()
    out = StringIO()
    exports.write(found.run, "vtt", out)
    return Response(out.getvalue(), media_type="text/vtt; charset=utf-8", headers=KEPT)


@router.get("/{run}/moments/{place}", response_class=Response)
async def run_moment(request: Request, found: Found, place: Annotated[int, InAddress(ge=0, lt=1000, description="From 0, the strongest first.")]) -> Response:
    """A picture of a moment, JPEG; every face that was found is pixelated."""
    found.require_complete()
    state = await asyncio.to_thread(lambda: found.state)
    pictures = await request.app.state.results["pictures"].get(found.run.id, state, pictures_of, found)
    if place >= len(pictures) or pictures[place] is None:
        raise NotFound("There is no picture of this moment.")
    return Response(pictures[place], media_type="image/jpeg", headers=KEPT)


@router.get("/{run}/faces")
def run_faces(response: Response, found: Found, start: Annotated[float, Query(ge=0, le=1e9, description="Seconds.")] = 0.0,
              length: Annotated[float, Query(gt=0, le=30, description="Seconds looked at.")] = 20.0) -> list[SeenFrame]:
    """The faces of the analyzed frames within a stretch of time, for who wants to draw them over the film."""
    found.run.require_persons("drawing faces")
    answer = catalog.fetch(found.run.results, SEEN, found.run.id, {"start": start, "end": start + length})
    response.headers.update(KEPT)
    return [SeenFrame(**row) for row in answer.to_pylist()]


@router.get("/{run}/film", response_class=Response)
async def run_film(request: Request, found: Found) -> Response:
    """The recording, if it is still what was analyzed, byte for byte. Ranges of bytes can be asked for."""
    try:
        film = await checked_film(request, found)
    except VideoError as error:
        raise NotFound(told(error)) from error
    return FileResponse(film.path, media_type=film.kind, headers=AGAIN, filename=found.info["recording"], content_disposition_type="inline")


async def content(request: Request, found: FoundRun) -> Content:
    """What is said of a complete run."""
    state = await asyncio.to_thread(lambda: (found.state, _whereabouts(found)))
    made: Content = await request.app.state.results["contents"].get(found.run.id, state, content_of, found)
    return made


async def checked_film(request: Request, found: FoundRun) -> Film:
    """The run's film. Its content is read once, as long as the file is not touched. Raises VideoError, which says why there is none."""
    film = await asyncio.to_thread(find_film, found.info)
    checked: Film = await request.app.state.results["films"].get(found.run.id, film, check_film, film, found.info)
    return checked


def attached(name: str) -> dict[str, str]:
    """The header that makes a browser keep an answer as a file of this name."""
    return {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}"}


def _whereabouts(found: FoundRun) -> tuple[int, ...] | None:
    """The identity of the run's film, None where there is none."""
    try:
        return identity(found.info["path"])
    except OSError:
        return None


async def _report(request: Request, found: FoundRun) -> Path:
    """The report's index.html, made where there is none of the tables as they are."""
    found.require_complete()
    state = await asyncio.to_thread(lambda: found.state)
    index: Path = await request.app.state.results["reports"].get(found.run.id, state, made_report, found)
    return index


assert set(PICTURES) == set(Picture.__args__) and set(TABLES) == set(Table.__args__)  # type: ignore[attr-defined]
