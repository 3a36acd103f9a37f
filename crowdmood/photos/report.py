"""The report of a run of photos: the page of its best, as `photos rank` writes it, and their contact sheet."""

from __future__ import annotations

from pathlib import Path

from crowdmood.errors import VideoError
from crowdmood.photos.page import write_best
from crowdmood.photos.ranking import left_out, rank
from crowdmood.photos.run_files import files_of, photo_run
from crowdmood.results import Run

BEST = 24  # photos with a picture


def write_report(run: Run, folder: str | Path | None = None) -> Path:
    """Write index.html and sheet.png into the run's report folder: the happiest photos; returns the path of index.html.

    folder: where the photos are now, None: where they were; those that are gone, or are others by now, are named without their
    picture. Raises VideoError when a folder is given and none of the photos is in it, ResultsError when the run is not complete.
    """
    ranked = rank(photo_run(run))
    best = [row["frame"] for row in ranked[:BEST]]
    files = files_of(run, best, folder)
    if folder and best and not files:
        raise VideoError(f"{folder} has none of the photos that run {run.id} ({run.info['recording']}) was made from; give the folder that was ranked")
    index = run.report_folder / "index.html"
    write_best(run, files, ranked, left_out(run, ranked), {"by": "happy", "group": False, "top": BEST}, index, index.with_name("sheet.png"))
    return index
