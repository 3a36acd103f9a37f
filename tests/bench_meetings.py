"""How well meetings are understood: figures of 40 generated meetings against their truth, beside the bars.

    python tests/bench_meetings.py FOLDER                 all meetings; goes on where a stopped run ended
    python tests/bench_meetings.py FOLDER --only speaker  those whose name holds this
    python tests/bench_meetings.py FOLDER --again         forget what was measured, measure anew (made videos are kept)

Needs `pip install "motmetrics>=1.4,<2"`. Real faces are used where ../shared is there, else drawn ones.
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from crowdmood.analysis import analyze
from crowdmood.options import Options
from crowdmood.sources import only, options_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.meeting_figures import Figures, figures
from tests.meetings import DATA, MEDIA, Meeting, Spec, make

GALLERIES = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 19, 22, 25, 30, 36, 42, 49)
SIZES = ((640, 360), (1280, 720), (1920, 1080))
MIXED = (("gallery", "share", "gallery"), ("gallery", "speaker"), ("speaker", "side by side", "gallery"), ("gallery", "side by side"),
         ("share", "speaker", "gallery"), ("gallery", "speaker", "share", "side by side", "gallery"))
BARS = {"tile_f1": 0.98, "idf1": 0.95, "face_recall": 0.95}
BOUNDARY_S = 0.5


def meetings() -> Iterator[tuple[str, Spec]]:
    """The meetings that are measured: galleries of 2 to 49, and all other layouts, each with its own chance."""
    for number, people in enumerate(GALLERIES):
        size = SIZES[2] if people > 25 else SIZES[1 + number % 2] if people > 9 else SIZES[number % 3]
        pace = {"seconds": 16.0, "fps": 2.0} if people > 25 else {}
        yield f"gallery of {people}", by_chance(number, people=people, size=size, **pace)
    for number, share in enumerate((0.1, 0.9, 0.97), 30):
        yield f"gallery of 49, far, {share:.0%} off", by_chance(number, people=49, size=SIZES[2], seconds=8.0, fps=2.0, far=True, off=share,
                                                                events=2)
    yield "meeting rooms", by_chance(36, people=5, rooms=2, size=SIZES[2])
    for number, layout in enumerate(("speaker", "speaker", "share", "side by side", "side by side"), 40):
        yield f"{layout} {number}", by_chance(number, layouts=(layout,), size=SIZES[1 + number % 2])
    for number, layouts in enumerate((*MIXED, ("gallery",) * 3, ("gallery", "share") * 3), 50):
        yield f"mixed {number}", by_chance(number, layouts=layouts, size=SIZES[1 + number % 2], seconds=40, events=6)
    for number, changes in enumerate(({"bars": False}, {"crf": 38}, {"fps": 1.5, "seconds": 50.0},
                                  {"hold": 0.0, "layouts": ("speaker", "gallery")}), 60):
        yield f"hard {number}: {next(iter(changes))}", by_chance(number, people=9, size=SIZES[1], **changes)


def by_chance(seed: int, **changes) -> Spec:
    """A spec in which all that nobody decides is chance."""
    rng = np.random.default_rng(seed)
    chance = {"seed": seed, "people": int(rng.integers(3, 10)), "gutter": int(rng.choice([0, 0, 4, 8])),
              "background": int(rng.choice([0, 0, 16, 26])), "rounded": bool(rng.random() < 0.3), "seconds": 30.0, "fps": 3.0,
              "frame_colour": ((35, 217, 89), (216, 232, 40))[int(rng.integers(2))], "mute_marks": bool(rng.random() < 0.3),
              "clock": bool(rng.random() < 0.3), "crf": int(rng.integers(23, 33)),
              "faces": "real" if seed % 2 and MEDIA.is_dir() and DATA.is_dir() else "drawn"}
    return Spec(**(chance | changes))


def measure(name: str, spec: Spec, folder: Path) -> dict:
    """Make a meeting (unless it is there), analyze it, compare; the row that is kept."""
    place = folder / f"{name.replace(' ', '-').replace(':', '').replace(',', '')}"
    meeting = made(spec, place)
    began = perf_counter()
    results = place / "results"
    shutil.rmtree(results, ignore_errors=True)
    source = only(meeting.folder)
    run = analyze(source, options_for(source, Options()), results=results)
    found = figures(run, meeting.truth)
    return {"name": name, "spec": asdict(spec), "seconds": round(perf_counter() - began, 1), "run": run.id, **asdict(found)}


def made(spec: Spec, place: Path) -> Meeting:
    """The meeting, from where it was made before if the spec was the same."""
    kept = place / "meeting.pickle"
    if kept.is_file():
        before, meeting = pickle.loads(kept.read_bytes())
        if vars(before) == vars(spec):  # also what a spec had no field for when it was kept
            return meeting
    shutil.rmtree(place, ignore_errors=True)
    meeting = make(spec, place / "recording")
    kept.write_bytes(pickle.dumps((spec, meeting)))
    return meeting


def line(name: str, found: Figures, few: str = "") -> str:
    """A row of the table."""
    middle, worst = found.boundary
    return (f"| {name} | {few} | {found.tile_recall:.3f} | {found.tile_precision:.3f} | {found.tile_f1:.3f} | {middle:.2f} / {worst:.2f} | "
            f"{found.boundaries_missed} / {found.boundaries_false} | {found.idf1:.3f} | {found.switches} ({found.switches_per_hour:.0f}/h) | "
            f"{found.switches_moved} | {found.dead_faces} | {found.attribution:.3f} | {found.face_recall:.4f} ({found.faces}) |")


HEAD = """| meeting | tiles | tile recall | precision | F1 (0.9) | boundary median / max s | missed / false | IDF1 | switches | at re-layouts | \
faces of nobody | speakers | faces >= 20 px |
|---|---|---|---|---|---|---|---|---|---|---|---|---|"""


def totals(rows: list[dict]) -> str:
    """The sums, beside the bars; recall of small faces is that of the galleries of 49."""
    found = {row["name"]: Figures(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()
                                     if key in Figures.__dataclass_fields__}) for row in rows}
    everything = sum(found.values(), Figures())
    large = sum((value for name, value in found.items() if "of 49" in name), Figures())
    middle, worst = everything.boundary
    count = everything.boundaries_missed + len(everything.boundary_errors)
    boundaries = f"{everything.boundaries_missed} of {count} missed, {everything.boundaries_false} false"
    judged = [("tile F1 at IoU 0.9", f"{everything.tile_f1:.4f}", ">= 0.98", everything.tile_f1 >= BARS["tile_f1"]),
              (f"boundary error, median / max ({boundaries})", f"{middle:.2f} / {worst:.2f} s", "<= 0.5 s", worst <= BOUNDARY_S),
              ("persons' IDF1", f"{everything.idf1:.4f}", ">= 0.95", everything.idf1 >= BARS["idf1"]),
              ("switches at re-layouts", str(everything.switches_moved), "0", everything.switches_moved == 0),
              ("switches per hour", f"{everything.switches_per_hour:.1f}", "0 in galleries", everything.switches == 0),
              ("speakers given to the right person", f"{everything.attribution:.3f}", "", True),
              ("faces >= 20 px in galleries of 49", f"{large.face_recall:.4f} of {large.faces}", ">= 0.95",
               large.face_recall >= BARS["face_recall"])]
    return "\n".join([line("all", everything), "", "| figure | here | bar | |", "|---|---|---|---|",
                      *(f"| {name} | {here} | {bar} | {'ok' if good else 'MISSED'} |" for name, here, bar, good in judged)])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--only", default="", help="meetings whose name holds this")
    arguments.add_argument("--again", action="store_true")
    arguments.add_argument("--seeds", type=int, default=0, help="added to the seeds: other meetings of the same kinds")
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    kept = given.folder / "figures.jsonl"
    before = [json.loads(text) for text in kept.read_text().splitlines()] if kept.is_file() else []
    known = {row["name"]: row for row in before if not (given.again and given.only in row["name"])}
    print(HEAD, flush=True)
    rows = []
    for name, spec in meetings():
        if given.only not in name:
            continue
        spec = replace(spec, seed=spec.seed + given.seeds)
        if json.dumps(asdict(spec)) != json.dumps(known.get(name, {}).get("spec")):
            known[name] = measure(name, spec, given.folder)
            kept.write_text("".join(json.dumps(row) + "\n" for row in known.values()))
        rows.append(known[name])
        print(line(name, Figures(**{key: tuple(value) if isinstance(value, list) else value for key, value in known[name].items()
                                    if key in Figures.__dataclass_fields__}), str(spec.people)), flush=True)
    print(totals(rows))


if __name__ == "__main__":
    main()
