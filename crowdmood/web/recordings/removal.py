"""Remove recordings: their runs, and the films that were uploaded for them."""

from __future__ import annotations

from crowdmood.errors import RunBusy
from crowdmood.removal import remove
from crowdmood.web.recordings.listing import RecordingList
from crowdmood.web.refusals import Conflict, NotFound


def remove_run(recordings: RecordingList, run: str) -> None:
    """Remove a run with all that was made of it, and its film if that was uploaded here. Raises NotFound, Conflict."""
    if recordings.row(run) is None:
        raise NotFound("There is no such recording; it may just have been removed.")
    uploads = recordings.uploads_of(run)
    for upload in uploads:
        recordings.analyses.forget(upload.id)
    _remove(recordings, run)
    for upload in uploads:
        recordings.uploads.remove(upload.id)
    recordings.analyses.changed()


def remove_upload(recordings: RecordingList, upload: str) -> None:
    """Remove an upload, and what was begun of its analysis; complete runs stay. Raises NotFound, Conflict."""
    film = str(recordings.uploads.find(upload).film)
    recordings.analyses.forget(upload)
    for row in recordings.rows():
        if row["path"] == film and row["status"] != "complete":
            _remove(recordings, row["run"])
    recordings.uploads.remove(upload)
    recordings.analyses.changed()


def _remove(recordings: RecordingList, run: str) -> None:
    try:
        remove(recordings.results, run)
    except RunBusy as error:
        raise Conflict("It is being analyzed by another program; wait for that to end, and remove it then.") from error
