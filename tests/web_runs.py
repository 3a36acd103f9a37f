"""Invented runs with a film that browsers play, for tests of the web application."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np

from crowdmood import catalog, tables
from crowdmood.labels import EXPRESSIONS
from tests.made_runs import (
    RUN,
    STARTED,
    face_columns,
    frame_columns,
    links,
    make_parts,
    make_run,
    rounded,
    run_row,
)
from tests.pages import EVIL
from tests.videos import Clip, write

GONE, CHANGED, BROKEN, PHOTOS, UNFINISHED, ODD = "aaaaaaaaaaa1", "aaaaaaaaaaa2", "aaaaaaaaaaa3", "aaaaaaaaaaa4", "aaaaaaaaaaa5", "aaaaaaaaaaa6"
SIZE = 320, 272


def make_results(folder: Path) -> Path:
    """A results folder `results` beside its films: a run with a film that plays, and others that lack something."""
    results = folder / "results"
    film = write(folder / "concert.mp4", Clip(numbers=range(240), rate=Fraction(30), size=SIZE))
    broken = folder / "broken.mp4"
    broken.write_bytes(b"this is no film, but it is what was analyzed" * 100)
    make_smiling_run(results, RUN)
    make_run(results, ODD, seed=3)
    tell(results, RUN, film)
    tell(results, ODD, film, recording=EVIL)
    for run, path in ((GONE, folder / "gone.mp4"), (CHANGED, film), (BROKEN, broken)):
        make_run(results, run, seed=2)
        tell(results, run, path)
    tell(results, CHANGED, film, digest="e" * 64)
    tables.write_run(results, run_row(PHOTOS, layout="photos", status="complete", started=STARTED))
    make_parts(results, UNFINISHED)
    catalog.refresh(results)
    return results


def make_smiling_run(results: Path, run: str) -> None:
    """A complete run in which everybody smiles from second 3 to 4: it has a moment."""
    faces = face_columns()
    smiles = (faces["time_s"] >= 3) & (faces["time_s"] < 4)
    for name in EXPRESSIONS:
        faces[name] = np.where(smiles, 0.9 if name == "happy" else 0.1 / 6, faces[name] * (0.2 if name == "happy" else 1))
    faces["expression"] = np.where(smiles & faces["usable"], "happy", faces["expression"])
    faces["confidence"] = np.where(smiles, 0.9, faces["confidence"])
    faces = rounded(faces)
    tables.write_run(results, run_row(run, chunks=1))
    tables.write_part(results, run, 0, tables.part_table("frames", run, frame_columns(faces)), tables.part_table("faces", run, faces))
    tables.complete(results, run, links(), finished=STARTED, seconds=1.0)


def tell(results: Path, run: str, film: Path, **changes) -> None:
    """Let a run's row say that this film is what it was made from."""
    facts = {"path": str(film), "recording": film.name, "width": SIZE[0], "height": SIZE[1]}
    if film.is_file():
        facts |= {"digest": hashlib.sha256(film.read_bytes()).hexdigest(), "size_bytes": film.stat().st_size}
    tables.write_run(results, tables.read_run(results, run) | facts | changes)
