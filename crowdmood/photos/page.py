"""The best photos as a page: one HTML file that needs nothing else, the pictures in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crowdmood.errors import ResultsError
from crowdmood.files import write_aside
from crowdmood.pages import percent, render, signed
from crowdmood.photos.run_files import faces_of
from crowdmood.photos.sheet import write_sheet
from crowdmood.results import Run
from crowdmood.video import read_photo

MOST = 60  # photos with a picture
LARGE, SMALL, QUALITY = 1200, 720, 84  # longest side of the first three and of the others, pixels; of JPEG
TITLES = {"happy": "happiest", "sad": "saddest", "surprise": "most surprised", "positivity": "most positive",
          "popularity": "top-scored"}


def title_of(by: str, group: bool, count: int) -> str:
    """'The 3 happiest photos'. Expressions shown, of course."""
    what = ("group photo" if group else "photo") + ("" if count == 1 else "s")
    what += " by popularity" if by == "popularity" else ""
    return f"The {TITLES[by]} {what}" if count == 1 else f"The {count} {TITLES[by]} {what}"


def scored(row: Mapping[str, Any], by: str) -> str:
    """A score as people read it."""
    return signed(row["score"]) if by == "positivity" else percent(row["score"])


def write_best(run: Run, files: Mapping[int, tuple[Path, int]], ranked: Sequence[dict[str, Any]], out_of: Sequence[dict[str, Any]],
               asked: Mapping[str, Any], page: Path, sheet: Path) -> None:
    """Write the page and the contact sheet of the first photos.

    files: frame number -> file and page; a photo that is not among them is shown without its picture. ranked: see photo_ranking.rank,
    all of them; out_of: see photo_ranking.left_out; asked: by, group, top. Raises ResultsError, VideoError when a photo cannot be read.
    """
    best, info = ranked[:min(asked["top"], MOST)], run.info
    files = {} if info["erased"] else files  # whoever was erased may be in the pictures
    images = [read_photo(*files[row["frame"]]) if row["frame"] in files else None for row in best]
    by, group = asked["by"], asked["group"]
    title = title_of(by, group, len(best))
    facts = f"of {len(ranked) + len(out_of):,} photos in {info['recording']}" + (" \u00b7 scored over all faces: (mean + worst) / 2" if group else "")
    there = [(image, row["file"], _line(row, by, group)) for image, row in zip(images, best, strict=True) if image is not None]
    write_sheet(sheet, title, facts, there)
    faces = faces_of(run, [row["frame"] for row in best])
    cards = [row | {"image": None if image is None else _embedded(image, LARGE if at < 3 else SMALL), "boxes": faces.get(row["frame"], []),
                    "shown": scored(row, by)} for at, (image, row) in enumerate(zip(images, best, strict=True))]
    text = render("photos.html.j2", title=title, cards=cards, ranked=ranked[:1000], total=len(ranked), left_out=out_of, info=info,
                  by=by, group=group, scored=scored, sheet=sheet.name, gone=len(best) - len(there))
    try:
        with write_aside(page) as aside:
            aside.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{page} cannot be written: {error.strerror or error}") from error


def _line(row: Mapping[str, Any], by: str, group: bool) -> str:
    faces = f"{row['faces']} face" + ("" if row["faces"] == 1 else "s")
    worst = f", worst {percent(row['worst'])}" if group and by != "positivity" else ""
    return f"{by} {scored(row, by)}{worst} \u00b7 {faces}" + (f", {row['uncertain']} uncertain" if row["uncertain"] else "")


def _embedded(image: np.ndarray, longest: int) -> str:
    picture = Image.fromarray(image)
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode()
