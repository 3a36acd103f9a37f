"""What is lost between clean crops and the product's own results: faces at known places in a film, analyzed
as any recording is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from crowdmood.api import analyze
from crowdmood.errors import CrowdmoodError
from crowdmood.expressions import UsableSettings, entropy
from crowdmood.faces import overlap
from crowdmood.labels import EXPRESSIONS
from crowdmood.models import Model
from crowdmood.own_detector import find_detector
from crowdmood.training.expression_data import LabelledFaces
from crowdmood.training.expression_evaluation import shipped_logits, shrink
from crowdmood.training.expression_export import GEOMETRY
from crowdmood.training.film import SIDES, FilmSettings, Pasted, plan_scenes, write_film
from crowdmood.training.resampling import interval, resampled_shares

FILM = FilmSettings()
SAMPLE_FPS = 1.5
SAME = 0.5  # IoU from which a box found is the face that was pasted
NOT_FOUND = {"answer": -1, "score": 0.0, "usable": False, "clear": False}
BANDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.01)  # of the detector's score


@dataclass(frozen=True)
class Looks:
    """Each analyzed frame's pasted faces, aligned (n,)."""

    face: np.ndarray  # row of the faces
    side: np.ndarray
    found: np.ndarray  # bool
    answer: np.ndarray  # the product's largest expression, -1 where not found
    score: np.ndarray  # the detector's, 0 where not found
    usable: np.ndarray  # bool
    clear: np.ndarray  # bool, usable or only refused for the detector's score


def evaluate(
    faces: LabelledFaces,
    model: Model,
    detector: str | None = None,
    settings: FilmSettings = FILM,
    threads: int | None = None,
) -> dict:
    """All figures of the product with an expression net and a detector on a film of these faces, all of which
    must have a majority. Raises CrowdmoodError where there are none.
    """
    if not len(faces):
        raise CrowdmoodError("no faces for the film: none has a clear majority")
    scenes = plan_scenes(len(faces), settings)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write_film(path, faces.images, scenes, settings)
        bits = 8 * path.stat().st_size
        run = analyze(path, results=folder, sample_fps=SAMPLE_FPS, detector=detector,
                      expression=str(model.folder), device="cpu", threads=threads)  # fmt: skip
        rows = read_rows(run, UsableSettings(**model.card.get("usable", {})))
        frames = run.frames["frame"].to_numpy()
    looks, false = match(rows, frames, scenes, settings)
    logits = shipped_logits(model, threads or 1)
    clean = {
        side: logits(shrink(faces.images, side)).argmax(axis=1) == faces.majority
        for side in SIDES
        if side <= 48
    }
    facts = {"faces": len(faces), "width": settings.width, "height": settings.height, "fps": settings.fps,
             "bit_rate": settings.bit_rate, "sample_fps": SAMPLE_FPS, "seed": settings.seed,
             "measured_bit_rate": round(bits / (len(scenes) * settings.seconds)),
             "detector": find_detector(detector).name,
             "false_faces": len(false), "looked_at": len(frames)}  # fmt: skip
    return facts | measure(looks, faces.majority, clean, false)


def read_rows(run, usable: UsableSettings) -> dict[str, np.ndarray]:
    """A run's faces as arrays (m,); `answer` is the largest expression, `clear` as in Looks."""
    columns = ("frame", "x1", "y1", "x2", "y2", "score", "size_px", "sharpness", "usable", *EXPRESSIONS)
    table = run.sql(f"SELECT {', '.join(columns)} FROM faces ORDER BY frame")
    rows = {name: table[name].to_numpy() for name in columns}
    probability = np.stack([rows[name] for name in EXPRESSIONS], axis=1)
    clear = (rows["size_px"] >= usable.min_size_px) & (rows["sharpness"] >= usable.min_sharpness)
    return rows | {
        "answer": probability.argmax(axis=1),
        "clear": clear & (entropy(probability) <= usable.max_entropy),
    }


def match(
    rows: dict, frames: np.ndarray, scenes: list[Pasted], settings: FilmSettings
) -> tuple[Looks, np.ndarray]:
    """Find the pasted faces among those of a run; also the scores of faces that nobody pasted.

    rows: of `read_rows`; frames: int (n,), those analyzed.
    """
    box = np.stack([rows[name] for name in ("x1", "y1", "x2", "y2")], axis=1)
    length, parts, false = round(settings.fps * settings.seconds), [], []
    for frame in frames:
        pasted = scenes[min(frame // length, len(scenes) - 1)]
        here = np.flatnonzero(rows["frame"] == frame)
        wanted = _boxes(pasted.corners(frame % length), pasted.side)
        overlaps = np.array([overlap(one, box[here]) for one in wanted]).reshape(len(wanted), len(here))
        place = overlaps.argmax(axis=1) if len(here) else np.zeros(len(wanted), int)
        found = overlaps.max(axis=1, initial=0) >= SAME
        false.append(np.delete(rows["score"][here], np.unique(place[found])))
        at = here[place] if len(here) else place
        seen = [
            np.where(found, rows[name][at], missing) if len(box) else np.full(len(at), missing)
            for name, missing in NOT_FOUND.items()
        ]
        parts.append((pasted.face, pasted.side, found, *seen))
    return Looks(*(np.concatenate(column) for column in zip(*parts, strict=True))), np.concatenate(false)


def _boxes(corner: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The boxes x1 y1 x2 y2 (k, 4) that the detector draws around such crops."""
    height = 1 / GEOMETRY["margin"]
    half = np.array([GEOMETRY["size_ratio"] ** 2 / height, height]) / 2
    centre = corner + np.array([0.5, 0.5 - GEOMETRY["shift_y"]]) * side[:, None]
    return np.concatenate([centre - half * side[:, None], centre + half * side[:, None]], axis=1)


def measure(looks: Looks, truth: np.ndarray, clean: dict[int, np.ndarray], false: np.ndarray) -> dict:
    """Figures by side, for 48 px and more together, and by the detector's score.

    truth: (faces,); clean: by side, bool (faces,), whether the net is right on the clean crop; larger sides
    are measured against the largest there; false: scores of faces that are none.
    """
    right = looks.answer == truth[looks.face]
    largest = clean[max(clean)]
    whole = largest[looks.face]
    small = np.select(
        [looks.side == side for side in clean], [one[looks.face] for one in clean.values()], whole
    )
    groups = {f"{side} px": looks.side == side for side in sorted(SIDES)}
    groups["48 px and more"] = looks.side >= 48
    figures = {name: _figures(looks, rows, right, (whole, small)) for name, rows in groups.items()}
    bands = {
        f"{low:.1f} to {min(high, 1):.1f}": _band(looks, right, false, (low, high))
        for low, high in pairwise(BANDS)
    }
    return {
        "sides": figures,
        "scores": {name: band for name, band in bands.items() if band["n"] or band["false"]},
    }


def _band(looks: Looks, right: np.ndarray, false: np.ndarray, band: tuple[float, float]) -> dict:
    """Figures of the faces with a detector score in a band: what the least score of a usable face is chosen
    by.
    """
    rows = looks.found & (looks.score >= band[0]) & (looks.score < band[1])
    return {
        "n": int(rows.sum()),
        "accuracy": _mean(right[rows]),
        "clear": _mean(looks.clear[rows]),
        "clear_accuracy": _mean(right[rows & looks.clear]),
        "false": int(((false >= band[0]) & (false < band[1])).sum()),
    }


def _figures(looks: Looks, rows: np.ndarray, right: np.ndarray, clean: tuple[np.ndarray, np.ndarray]) -> dict:
    """Figures of some looks (bool (n,)); right, clean: bool (n,)."""
    found = rows & looks.found
    accepted = found & looks.usable
    pair = np.stack([clean[1], right], axis=1)[found]
    drawn = resampled_shares(pair, np.ones_like(pair), looks.face[found]) if found.any() else np.zeros((1, 2))
    return {
        "looks": int(rows.sum()),
        "found": _mean(looks.found[rows]),
        "clean": _mean(clean[0][rows]),
        "clean_at_side": _mean(clean[1][found]),
        "product": _mean(right[found]),
        "lost": round(float(np.diff(pair[:, ::-1].mean(axis=0))[0]), 4) if found.any() else 0.0,
        **interval(drawn[:, 0] - drawn[:, 1]),
        "uncertain": _mean(~looks.usable[found]),
        "product_accepted": _mean(right[accepted]),
        "clean_accepted": _mean(clean[1][accepted]),
    }


def _mean(values: np.ndarray) -> float:
    return round(float(values.mean()), 4) if len(values) else 0.0
