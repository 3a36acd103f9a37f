"""Recordings, for programs: list them, send them, have them analyzed, follow that, remove them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from crowdmood.errors import CrowdmoodError
from crowdmood.web.error_answers import ErrorAnswer
from crowdmood.web.recordings.asked import Asked, options_from
from crowdmood.web.recordings.listing import AnalysisState, Recording, RecordingList
from crowdmood.web.recordings.removal import remove_run, remove_upload
from crowdmood.web.recordings.uploads import ID, PIECE_BYTES, Upload
from crowdmood.web.refusals import Conflict, TooLarge

router = APIRouter(tags=["recordings"], prefix="/api")
LOOK_S, ALIVE_S = 0.25, 15.0  # between two looks for news, and between two signs of life
Run = Annotated[str, Path(pattern=ID, description="Id of a run.")]
UploadId = Annotated[str, Path(pattern=ID, description="Id of an upload.")]
FULL: dict[int | str, dict[str, Any]] = {507: {"model": ErrorAnswer, "description": "The disk is full"}}
BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}
EVENTS: dict[int | str, dict[str, Any]] = {200: {"description": "A stream that does not end. Event `analysis`: an AnalysisState in JSON; event "
                                                                "`list`: the list of recordings has changed.",
                                                 "content": {"text/event-stream": {"schema": {"type": "string"}}}}}


class Listing(BaseModel):
    """Recordings, the newest first."""

    recordings: list[Recording]
    total: int = Field(description="How many there are that fit the search.")


class NewUpload(BaseModel):
    """A recording that is to be sent."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=1000, description="The file's name; it is kept without what cannot be in one.")
    size_bytes: int = Field(ge=1, le=2**53, description="Its size.")
    analysis: Asked | None = Field(None, description="How it is to be analyzed as soon as it is here; null: not at once.")


class UploadState(BaseModel):
    """A recording on its way, or arrived."""

    id: str
    recording: str = Field(description="Name under which it is kept.")
    size_bytes: int
    received: int = Field(description="Bytes that are here: the offset of the next piece.")
    whole: bool = Field(description="Whether it is here in full. Where all bytes are and it is not, send an empty piece.")
    piece_bytes: int = Field(description="The largest piece that is taken.")
    begun: datetime
    analysis: AnalysisState | None = Field(None, description="Its analysis, where there is one.")
    problem: str | None = Field(None, description="Why the analysis that was asked for was not begun.")


def recordings_of(request: Request) -> RecordingList:
    """The recordings of this server."""
    found: RecordingList = request.app.state.recordings
    return found


Recordings = Annotated[RecordingList, Depends(recordings_of)]


async def piece_of(request: Request) -> bytearray:
    """The body, which is a piece of a file. Raises TooLarge."""
    piece = bytearray()
    try:
        async for part in request.stream():
            piece += part
            if len(piece) > PIECE_BYTES:
                raise TooLarge(f"A piece has at most {PIECE_BYTES} bytes; send the file in several.")
    except ClientDisconnect:  # a closed window, a lost network; nobody reads the answer
        raise Conflict("The connection ended before the piece was here; send it again.") from None
    return piece


@router.get("/recordings")
def list_recordings(recordings: Recordings, search: Annotated[str, Query(max_length=200, description="Part of the name, or the "
                    "beginning of a run's id.")] = "", start: Annotated[int, Query(ge=0, le=10**6, description="How many to skip.")] = 0,
                    limit: Annotated[int, Query(ge=1, le=1000, description="So many at most.")] = 100) -> Listing:
    """All recordings: analyzed ones, whoever analyzed them, and those that wait, are being analyzed, or were only sent."""
    page = recordings.find(search, start, limit)
    return Listing(recordings=page.recordings, total=page.total)


@router.delete("/recordings/{run}", status_code=204)
def remove_recording(recordings: Recordings, run: Run) -> Response:
    """Remove a run: its rows in every table, its report, and its film if that was uploaded here. It cannot be undone."""
    remove_run(recordings, run)
    return Response(status_code=204)


@router.get("/uploads")
def list_uploads(recordings: Recordings) -> list[UploadState]:
    """Everything that was sent, whole or not, the newest first."""
    return [state_of(recordings, upload) for upload in recordings.uploads.all()]


@router.post("/uploads", status_code=201, responses=FULL)
def begin_upload(request: Request, recordings: Recordings, asked: NewUpload) -> UploadState:
    """Begin to send a recording; its bytes follow with PATCH. What has arrived stays for a week, also when the server ends."""
    kept = asked.analysis.kept() if asked.analysis else None
    if kept:
        options_from(request.app.state.settings.options, kept)
    upload = recordings.uploads.begin(asked.name, asked.size_bytes, kept)
    recordings.analyses.changed()
    return state_of(recordings, upload)


@router.get("/uploads/{upload}")
def show_upload(recordings: Recordings, upload: UploadId) -> UploadState:
    """How much of a recording is here, and how far its analysis is."""
    return state_of(recordings, recordings.uploads.find(upload))


@router.patch("/uploads/{upload}", openapi_extra=BODY, responses=FULL)
def add_to_upload(recordings: Recordings, upload: UploadId, piece: Annotated[bytearray, Depends(piece_of)],
                  upload_offset: Annotated[int, Header(ge=0, le=2**53, description="Where the piece begins: at `received`.")]) -> UploadState:
    """Send the next piece of a recording, at most 8 MiB. 409: not the next one, ask how much is here. The last piece begins the analysis."""
    found = recordings.uploads.add(upload, upload_offset, piece)
    problem = None
    if found.is_whole:
        recordings.analyses.changed()
        try:
            if found.asked:
                recordings.analyses.ask(found, found.asked)
        except CrowdmoodError as error:
            problem = str(error)
    return state_of(recordings, found, problem)


@router.delete("/uploads/{upload}", status_code=204)
def delete_upload(recordings: Recordings, upload: UploadId) -> Response:
    """Remove what was sent, and what was begun of its analysis. A complete run stays. It cannot be undone."""
    remove_upload(recordings, upload)
    return Response(status_code=204)


@router.post("/uploads/{upload}/analysis", status_code=202)
def begin_analysis(recordings: Recordings, upload: UploadId, asked: Asked) -> AnalysisState:
    """Have a recording analyzed that is here in full. With the options of a stopped or failed analysis it goes on where that ended."""
    return recordings.state(recordings.analyses.ask(recordings.uploads.find(upload), asked.kept()))


@router.get("/uploads/{upload}/analysis")
def show_analysis(recordings: Recordings, upload: UploadId) -> AnalysisState:
    """How far the analysis of a recording is."""
    return recordings.state(recordings.analyses.find(upload))


@router.delete("/uploads/{upload}/analysis")
def stop_analysis(recordings: Recordings, upload: UploadId) -> AnalysisState:
    """Stop an analysis that waits or goes on. What is finished of it stays."""
    return recordings.state(recordings.analyses.stop(upload))


@router.get("/analyses")
def list_analyses(recordings: Recordings) -> list[AnalysisState]:
    """All analyses that were asked for here, in that order."""
    return [recordings.state(one) for one in recordings.analyses.all()]


@router.get("/analyses/events", responses=EVENTS, response_class=StreamingResponse)
async def follow_analyses(recordings: Recordings) -> StreamingResponse:
    """Progress of all analyses as server-sent events."""
    return StreamingResponse(_events(recordings), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(recordings: RecordingList) -> AsyncIterator[str]:
    analyses, version, listed, quiet = recordings.analyses, 0, recordings.analyses.listed, 0.0
    yield "retry: 2000\n\n"
    while True:
        quiet += LOOK_S
        if analyses.version != version:
            known, version, quiet = version, analyses.version, 0.0
            for one in analyses.all():
                if one.version > known and (known or one.is_under_way):
                    yield f"event: analysis\ndata: {recordings.state(one).model_dump_json()}\n\n"
            if analyses.listed != listed:
                listed = analyses.listed
                yield f"event: list\ndata: {json.dumps(listed)}\n\n"
        elif quiet >= ALIVE_S:
            quiet = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_S)


def state_of(recordings: RecordingList, upload: Upload, problem: str | None = None) -> UploadState:
    """An upload as it is told."""
    known = next((one for one in recordings.analyses.all() if one.upload == upload.id), None)
    return UploadState(id=upload.id, recording=upload.name, size_bytes=upload.size_bytes, received=upload.received,
                       whole=upload.is_whole, piece_bytes=PIECE_BYTES, begun=upload.begun,
                       analysis=recordings.state(known) if known else None, problem=problem)
