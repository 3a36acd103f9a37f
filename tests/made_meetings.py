"""Runs of invented meetings, for tests of what reports say of them: who is there, who speaks, and what the others show is known."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np

from crowdmood import aggregate, tables
from crowdmood.labels import EXPRESSIONS
from crowdmood.persons import Links
from crowdmood.row_groups import write_table
from crowdmood.schemas import TABLES, table_of
from tests.made_runs import RUN, STARTED, rounded, run_row

FPS, SECONDS, PERSONS = 2, 120, 8
RELAYOUT = 60.0  # until here persons 1 to 6 are there; then 7 and 8 come, and 6 turns the camera off
AWAY = 110.0  # from here on person 5 is not before the camera, which is on
# start, end, speaker, person (0: not known), kind, question, words
SPEECH = (
    (5.0, 10.0, 1, 1, "transcript", False, 12), (10.0, 15.0, 1, 1, "transcript", False, 10), (16.0, 24.0, 1, 1, "transcript", False, 9),
    (24.0, 40.0, 2, 2, "transcript", False, 40), (40.0, 46.0, 2, 2, "transcript", True, 11),
    (64.0, 80.0, 3, 0, "transcript", False, 30), (84.0, 90.0, 1, 1, "transcript", True, 14),
    (24.0, 46.0, 2, 2, "timeline", None, None), (100.0, 100.0, 3, 0, "chat", True, 4),
)
USUAL, SMILING, TALKING = 0.1, 0.5, 0.9  # happy of the audience, while person 2 speaks and 10 s after the second question, and of who speaks


def make_meeting(results: Path, run: str = RUN, persons: int = PERSONS, names: dict[int, str] | None = None,
                 speech: Sequence[tuple] = SPEECH, **row) -> None:
    """Write a complete run of a meeting of `persons` (3 to 8). speech: as SPEECH. row: columns of its row in runs."""
    links = make_meeting_parts(results, run, persons, **row)
    complete_meeting(results, run, persons, links, names, speech)


def aggregate_meeting(results: Path, run: str = RUN, persons: int = PERSONS, **row) -> None:
    """The same with --aggregate-only."""
    links = make_meeting_parts(results, run, persons, options={"imgsz": 640, "aggregate_only": True}, **row)
    with aggregate.place(results, run, True) as place:
        complete_meeting(place, run, persons, links)


def make_meeting_parts(results: Path, run: str = RUN, persons: int = PERSONS, **row) -> Links:
    """Write the row and the part of a meeting's run; returns its links."""
    faces, person = _faces(persons)
    times = np.arange(FPS * SECONDS) / FPS
    at = np.rint(faces["time_s"] * FPS).astype(int)
    frame = np.arange(len(times)) * 15
    frames = {"frame": frame, "pts": frame * 512, "time_s": times, "faces": np.bincount(at, minlength=len(times)),
              "usable_faces": np.bincount(at[faces["usable"]], minlength=len(times)),
              "signature": np.zeros((len(times), 180), np.uint8), "tiles": [b""] * len(times)}
    tables.write_run(results, run_row(run, **({"recording": "meeting.mp4", "duration_s": float(SECONDS), "chunks": 1, "sample_fps": 2.0,
                                               "width": 1280, "height": 720, "layout": "meeting"} | row)))
    tables.write_part(results, run, 0, tables.part_table("frames", run, frames), tables.part_table("faces", run, faces))
    return Links(person, person, np.zeros(len(times), bool))


def complete_meeting(results: Path, run: str, persons: int, links: Links, names: dict[int, str] | None = None,
                     speech: Sequence[tuple] = SPEECH) -> None:
    """Write the tables of a meeting whose part is there."""
    write(results, "tiles", run, tiles(persons))
    write(results, "speech", run, _speech(persons, speech))
    if names:
        write(results, "names", run, {"kind": ["person"] * len(names), "number": list(names), "name": list(names.values()),
                                      "read_by": ["file"] * len(names)})
    tables.complete(results, run, links, finished=STARTED, seconds=1.0)


def write(results: Path, table: str, run: str, columns: dict) -> None:
    path = tables.table_path(results, table, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, TABLES[table], [table_of(TABLES[table], run, columns)])


def there(person: int, time: np.ndarray) -> np.ndarray:
    """Whether the person's face is there."""
    return time < {5: AWAY, 6: RELAYOUT}.get(person, np.inf) if person <= 6 else time >= RELAYOUT


def happy_of(person: int, time: np.ndarray) -> np.ndarray:
    """What the person shows of happy: a little of their own, more while person 2 speaks and after the second question, most while speaking."""
    smiling = (time >= 24) & (time < 46) | (time >= 90) & (time < 100)
    value = np.where(smiling, SMILING, USUAL) + 0.005 * person + 0.02 * np.sin(time / 3 + person)
    for start, end, _, speaker, kind, *_ in SPEECH:
        if speaker == person and kind != "chat":
            value = np.where((time >= start) & (time < end), TALKING, value)
    return value


def _faces(persons: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of faces, and each face's person, in order of time."""
    times = np.arange(FPS * SECONDS) / FPS
    seen = np.stack([there(person, times) for person in range(1, persons + 1)], axis=1)
    at, who = np.nonzero(seen)
    happy = np.stack([happy_of(person, times) for person in range(1, persons + 1)], axis=1)[at, who]
    share = {name: (1 - happy) * (0.9 if name == "neutral" else 0.02) for name in EXPRESSIONS} | {"happy": happy}
    first = np.searchsorted(at, np.arange(len(times)))
    left, top = 40 + (who % 4) * 300.0, 60 + (who // 4) * 300.0
    columns = {"frame": at * 15, "pts": at * 15 * 512, "time_s": times[at], "face": np.arange(len(at)) - first[at], "x1": left, "y1": top,
               "x2": left + 80, "y2": top + 100, "score": np.full(len(at), 0.9), "size_px": np.full(len(at), 89.4),
               "sharpness": np.full(len(at), 5.0), "usable": (at + who) % 10 > 0, **share,
               "expression": np.where((at + who) % 10 > 0, np.where(happy > 0.5, "happy", "neutral"), "uncertain"),
               "confidence": np.maximum(happy, share["neutral"]), "valence": happy - 4 * share["sad"]}
    return rounded(columns), (who + 1).astype(np.int32)


def tiles(persons: int) -> dict:
    """Segment 1 has a tile for each person there; segment 2 also one for who turned the camera off, and one of nobody."""
    rows = [(1, 0.0, RELAYOUT, person, True, person, None) for person in range(1, min(persons, 6) + 1)]
    rows += [(2, RELAYOUT, float(SECONDS), person, person != 6, person, "label" if person < 7 else "new") for person in range(1, persons + 1)]
    rows.append((2, RELAYOUT, float(SECONDS), persons + 1, False, None, None))
    segment, start, end, tile, live, person, joined = zip(*rows, strict=True)
    left = np.array([40 + (number - 1) % 4 * 300.0 for number in tile])
    return {"segment": segment, "layout": ["gallery"] * len(rows), "start_s": start, "end_s": end, "tile": tile, "role": ["tile"] * len(rows),
            "x1": left, "y1": left, "x2": left + 280, "y2": left + 160, "live": live, "person": person, "joined_by": joined,
            "confidence": np.where([one is None for one in joined], np.nan, 0.9)}


def _speech(persons: int, speech: Sequence[tuple]) -> dict:
    start, end, speaker, person, kind, question, words = zip(*sorted(speech, key=itemgetter(0, 1, 4)), strict=True)
    return {"start_s": start, "end_s": end, "speaker": speaker, "person": [one if 0 < one <= persons else None for one in person],
            "person_confidence": np.where(np.array(person) > 0, 0.9, np.nan), "kind": kind, "question": question, "words": words,
            "text": [None] * len(kind)}
