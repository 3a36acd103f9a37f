"""What `crowdmood photos` and the web page ask: a ranked album, and one photo, as plain objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crowdmood.options import Execution, Options
from crowdmood.photos.copies import copy_best
from crowdmood.photos.page import write_best
from crowdmood.photos.ranking import left_out, rank
from crowdmood.photos.runs import Progress, analyze_photos
from crowdmood.photos.show import ShownPhoto, show_photo
from crowdmood.web_files import Limits, fetch_picture


def rank_photos(sources: Sequence[str | Path], asked: Mapping[str, Any], places: tuple[str | None, str | None, str | None],
                how: tuple[Options, Execution], results: str | Path | None, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Analyze photos, rank them, write page and sheet, copy the best.

    asked: by, group, top; places: of page, sheet (None: in the run's report folder) and copies (None: none). Returns run, results,
    by, group, top, ranked (see photo_ranking.rank), left_out, page, sheet, copies. Raises CrowdmoodError.
    """
    run, album = analyze_photos(sources, *how, results, progress)
    ranked = rank(run, asked["by"], asked["group"])
    others = left_out(run, ranked)
    name = f"best-{'group-' if asked['group'] else ''}{asked['by']}"
    page = Path(places[0]) if places[0] else run.report_folder / f"{name}.html"
    sheet = Path(places[1]) if places[1] else page.with_name(f"{page.stem}.png" if places[0] else f"{name}.png")
    files = {number: (photo.path, photo.page) for number, photo in enumerate(album.photos)}
    write_best(run, files, ranked, others, asked, page, sheet)
    best = [files[row["frame"]][0] for row in ranked[:asked["top"]]]
    copies = copy_best(best, Path(places[2])) if places[2] else []
    return {"run": run.id, "results": str(run.results), **asked, "ranked": ranked, "left_out": others, "page": str(page),
            "sheet": str(sheet), "copies": [str(copy) for copy in copies]}


def shown_photo(source: str, labels: Sequence[str], options: Options, execution: Execution, allow_private: bool = False) -> ShownPhoto:
    """One photo of a file, or of the web: then it is fetched, and removed again. Raises CrowdmoodError."""
    if "://" not in source or Path(source).exists():
        return show_photo(Path(source), labels, options, execution)
    limits = Limits(allowed=lambda _: True) if allow_private else Limits()
    with TemporaryDirectory(prefix="crowdmood-") as folder:
        return show_photo(fetch_picture(source, Path(folder), limits), labels, options, execution)


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
