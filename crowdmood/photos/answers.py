"""What `crowdmood photos` and the web page ask: a ranked album, and one photo, as plain objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crowdmood.errors import CrowdmoodError
from crowdmood.models import Model
from crowdmood.options import Execution, Options
from crowdmood.photos.copies import copy_best
from crowdmood.photos.cover import write_cover
from crowdmood.photos.page import write_best
from crowdmood.photos.popularity import (
    find_popularity,
    how_good,
    rank_by_popularity,
)
from crowdmood.photos.ranking import left_out, rank
from crowdmood.photos.runs import Progress, analyze_photos
from crowdmood.photos.show import ShownPhoto, show_photo
from crowdmood.runtimes import choose_device
from crowdmood.web_files import Limits, fetch_picture


@dataclass(frozen=True)
class Places:
    """Files to write: page and sheet (None: in the run's report folder), cover and a folder of copies (None: none)."""

    page: str | None = None
    sheet: str | None = None
    cover: str | None = None
    copies: str | None = None


def rank_photos(sources: Sequence[str | Path], asked: Mapping[str, Any], places: Places, how: tuple[Options, Execution],
                results: str | Path | None, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Analyze photos, rank them, write page and sheet, copy the best.

    asked: by, group, top, and model, the folder of a popularity model (None: the usual one). Returns run, results, by, group, top,
    ranked (see photo_ranking.rank), left_out, page, sheet, cover, copies, and with a model what was measured of it. Raises CrowdmoodError.
    """
    model = popularity_model(asked)
    run, album = analyze_photos(sources, *how, results, progress)
    files = {number: (photo.path, photo.page) for number, photo in enumerate(album.photos)}
    if model:
        threads = choose_device(how[1].device, how[1].runtime, how[1].threads).threads
        ranked = rank_by_popularity(run, files, model, threads, lambda *counts: progress("features", *counts))
    else:
        ranked = rank(run, asked["by"], asked["group"])
    others, shown = left_out(run, ranked), {name: asked[name] for name in ("by", "group", "top")}
    name = f"best-{'group-' if asked['group'] else ''}{asked['by']}"
    page = Path(places.page) if places.page else run.report_folder / f"{name}.html"
    sheet = Path(places.sheet) if places.sheet else page.with_name(f"{page.stem}.png" if places.page else f"{name}.png")
    write_best(run, files, ranked, others, shown, page, sheet)
    best = [files[row["frame"]] for row in ranked[:asked["top"]]]
    if places.cover and ranked:
        write_cover(run, files, ranked, Path(places.cover))
    copies = copy_best([path for path, _ in best], Path(places.copies)) if places.copies else []
    return {"run": run.id, "results": str(run.results), **shown, "ranked": ranked, "left_out": others, "page": str(page), "sheet": str(sheet),
            "cover": places.cover if ranked else None, **({"model": how_good(model)} if model else {}), "copies": [str(copy) for copy in copies]}


def popularity_model(asked: Mapping[str, Any]) -> Model | None:
    """The model that photos are to be scored by, None where they are ranked by what faces show. asked: by, group, model.

    Raises CrowdmoodError where there is none, or groups are asked for.
    """
    if asked["by"] != "popularity":
        return None
    if asked.get("group"):
        raise CrowdmoodError("popularity scores a photo as a whole, not the faces of a group one by one; leave one of the two out")
    return find_popularity(asked.get("model"))


def shown_photo(source: str, options: Options, execution: Execution, allow_private: bool = False) -> ShownPhoto:
    """One photo of a file, or of the web: then it is fetched, and removed again. Raises CrowdmoodError."""
    if "://" not in source or Path(source).exists():
        return show_photo(Path(source), (), options, execution)
    limits = Limits(allowed=lambda _: True) if allow_private else Limits()
    with TemporaryDirectory(prefix="crowdmood-") as folder:
        return show_photo(fetch_picture(source, Path(folder), limits), (), options, execution)


def described(photo: ShownPhoto, name: str) -> dict[str, Any]:
    """A photo for programs: photo, format, width, height, taken, and faces from left to right with box, score, size_px, sharpness,
    usable, expression, probability (of each label, 0..1; they sum to 1) and of_all (what the labels have of all seven)."""
    faces = []
    for row, expression in enumerate(photo.names):
        box = dict(zip(("x1", "y1", "x2", "y2"), (round(float(side), 1) for side in photo.faces.box[row]), strict=True))
        probability = {label: round(float(value), 4) for label, value in zip(photo.labels, photo.probability[row], strict=True)}
        faces.append({**box, "score": round(float(photo.faces.score[row]), 3), "size_px": round(float(photo.faces.size[row]), 1),
                      "sharpness": round(float(photo.sharpness[row]), 1), "usable": bool(photo.usable[row]), "expression": expression,
                      "probability": probability, "of_all": round(float(photo.part[row]), 4)})
    facts = photo.facts
    return {"photo": name, "format": facts.format, "width": facts.width, "height": facts.height, "taken": facts.taken, "faces": faces}
