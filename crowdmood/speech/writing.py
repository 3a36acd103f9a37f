"""Who speaks when in a meeting, and what people are called: the tables speech and names, from side files and finished tables.

    side files -> utterances on the meeting's clock -> speakers by number -> which person each of them is -> speech, names

No frame is analyzed for it, so it can be done again whenever side files or names differ; `write_speech` sees that by itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crowdmood import tables
from crowdmood.files import sha256_of
from crowdmood.options import Options
from crowdmood.row_groups import plain
from crowdmood.s3 import S3Folder
from crowdmood.schemas import TABLES
from crowdmood.speech.attribution import Spans, attribute
from crowdmood.speech.name_labels import read_labels
from crowdmood.speech.name_lists import (
    GivenNames,
    likeness,
    likest,
    name_key,
    read_names,
)
from crowdmood.speech.utterances import Utterance, numbered, side_files, utterances
from crowdmood.video import Recording
from crowdmood.zoom.meetings import Meeting

FORM = 1  # of what is written here; what was written in another one is made again
MADE_OF = "made_of"
SEEN = ("tiles", "spotlights", "persons")
MADE = ("names", "speech")
LATEST_S = 10.0  # a first frame that comes later is one of a file that keeps another clock
SAY_WHEN = ("timeline", "transcript")  # the kinds that tell who speaks when, the more exact one first


@dataclass(frozen=True)
class Seen:
    """What is known of the persons in the picture: rows of tiles and spotlights; names: what they are called, and by what
    ('label' or 'file') that is known.
    """

    tiles: Sequence[Mapping[str, Any]] = ()
    spotlights: Sequence[Mapping[str, Any]] = ()
    names: Mapping[int, tuple[str, str]] = field(default_factory=dict)


def write_speech(results: Path, run: str, meeting: Meeting | None, options: Options, recording: Recording) -> bool:
    """Write speech, and names where they are asked for, of a run whose other tables are there; whether anything was written.

    meeting: the one whose side files are read, None: there are none. Written only where side files, options or the other tables
    differ from those they were made of; the same ones give the same bytes. A run from which persons were erased stays as it is
    (they would come back), and so does one that keeps no persons. Raises CrowdmoodError where names cannot be read, VideoError, ResultsError.
    """
    row = tables.read_run(results, run) or {}
    if row.get("erased") or options.aggregate_only:
        return False
    made_of = _made_of(results, run, meeting, options)
    if _is_made(results, run, made_of, options):
        return False
    spoken = utterances(meeting, row.get("duration_s") or float(recording.time[-1]), _lead_s(recording))
    seen = _seen(results, run, options, recording, sorted({one.name for one in spoken if one.name}))
    speakers = numbered(spoken)
    with tables.writing(results):
        if options.names != "none":
            _write(results, run, "names", _name_rows(seen, spoken, speakers), made_of)
        else:
            tables.table_path(results, "names", run).unlink(missing_ok=True)
        _write(results, run, "speech", _speech_rows(spoken, speakers, seen, options.transcript_text), made_of)
    return True


def _lead_s(recording: Recording) -> float:
    """How long after the beginning of the file the first frame comes: Zoom's sound may begin before. Other clocks count as none."""
    lead = float(recording.pts[0] * recording.time_base)
    return lead if 0 <= lead <= LATEST_S else 0.0


def write_speech_on_s3(results: S3Folder, run: str, meeting: Meeting | None, options: Options, recording: Recording) -> bool:
    """The same for a complete run on S3: its small tables are fetched, and what is made of them takes its place there."""
    local = results.local
    names = {table: tables.table_path(Path(), table, run).as_posix() for table in ("runs", *SEEN, *MADE)}
    there = results.files(*names.values())
    try:
        results.download({name: local / name for name in names.values() if name in there})
        if not write_speech(local, run, meeting, options, recording):
            return False
        results.upload({names[table]: local / names[table] for table in MADE if (local / names[table]).exists()})
        results.remove([names[table] for table in MADE if names[table] in there and not (local / names[table]).exists()])
        return True
    finally:
        for name in names.values():
            (local / name).unlink(missing_ok=True)


def _made_of(results: Path, run: str, meeting: Meeting | None, options: Options) -> str:
    """A digest of everything that decides the rows."""
    seen = [path for table in SEEN if (path := tables.table_path(results, table, run)).exists()]
    given = Path(options.names) if options.names not in ("none", "labels") else None
    facts = [FORM, options.names, sha256_of(given) if given and given.is_file() else None, options.transcript_text,
             [[file.kind, file.start_s, sha256_of(file.path)] for file in side_files(meeting) if file.path.is_file()],
             str((meeting.started, meeting.wall)) if meeting else None, [[path.parent.name, sha256_of(path)] for path in seen]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _is_made(results: Path, run: str, made_of: str, options: Options) -> bool:
    """Whether the tables that are there were made of the same. Names come first, so speech says it for both."""
    named, spoken = (_stamp(tables.table_path(results, table, run)) for table in ("names", "speech"))
    return spoken == made_of and named == (made_of if options.names != "none" else None)


def _stamp(path: Path) -> str | None:
    """What a table was made of; None where there is none."""
    return (pq.read_schema(path).metadata or {}).get(MADE_OF.encode(), b"").decode() if tables.is_whole(path) else None


def _write(results: Path, run: str, table: str, rows: Sequence[Mapping[str, Any]], made_of: str) -> None:
    """Write a table by its keys."""
    made = pa.Table.from_pylist([{"run": run, **row} for row in rows], plain(TABLES[table]))
    tables.write_rows(results, table, run, made, **{MADE_OF: made_of})


def _seen(results: Path, run: str, options: Options, recording: Recording, known: Sequence[str]) -> Seen:
    """What the finished tables, and the picture where names are to be read in it, say of persons. known: likely names."""
    tiles, spotlights, persons = (_rows_of(results, run, table) for table in SEEN)
    return Seen(tiles, spotlights, _person_names(options, recording, tiles, {row["person"] for row in persons}, known))


def _rows_of(results: Path, run: str, table: str) -> list[dict[str, Any]]:
    path = tables.table_path(results, table, run)
    return pq.ParquetFile(path).read().to_pylist() if path.exists() else []


def _person_names(options: Options, recording: Recording, tiles: Sequence[Mapping[str, Any]], persons: set[int],
                  known: Sequence[str]) -> dict[int, tuple[str, str]]:
    """What persons are called and how that is known, by their numbers."""
    if options.names == "none":
        return {}
    given = GivenNames() if options.names == "labels" else read_names(Path(options.names))
    if given.numbers:
        if strange := sorted(set(given.numbers) - persons):
            logging.getLogger("crowdmood").warning("%s: there is no person %s in %s", options.names, ", ".join(map(str, strange)), recording.path.name)
        return {number: (name, "file") for number, name in sorted(given.numbers.items()) if number in persons}
    listed = given.listed or list(given.labels)
    read = read_labels(recording, tiles, listed or known)
    if listed:
        read = {number: one for number, text in read.items() if (one := likest(text, listed))}
    if given.labels:
        return {number: (given.labels[label], "file") for number, label in read.items()}
    return {number: (name, "label") for number, name in read.items()}


def _name_rows(seen: Seen, spoken: Sequence[Utterance], speakers: Mapping[str, int]) -> list[dict[str, Any]]:
    persons = [{"kind": "person", "number": number, "name": name, "read_by": by} for number, (name, by) in sorted(seen.names.items())]
    first: dict[int, str] = {}
    for one in spoken:
        if one.name:
            first.setdefault(speakers[name_key(one.name)], one.name)
    return persons + [{"kind": "speaker", "number": number, "name": name, "read_by": "transcript"} for number, name in sorted(first.items())]


def _speech_rows(spoken: Sequence[Utterance], speakers: Mapping[str, int], seen: Seen, with_text: bool) -> list[dict[str, Any]]:
    """The rows of speech: what was said, or, where nothing tells who speaks when, whom the picture marks."""
    whose = Attribution.of(spoken, speakers, seen)
    rows = []
    for one in spoken:
        speaker = speakers[name_key(one.name)] if one.name else None
        person, confidence = whose.person(speaker, (one.start_s + one.end_s) / 2)
        rows.append({"start_s": one.start_s, "end_s": one.end_s, "speaker": speaker, "person": person, "person_confidence": confidence,
                     "kind": one.kind, "question": one.question, "words": one.words, "text": one.text if with_text else None})
    if not any(one.kind in SAY_WHEN for one in spoken):
        rows += [{"start_s": row["start_s"], "end_s": row["end_s"], "person": row["person"], "kind": "spotlight",
                  "person_confidence": None if row["person"] is None else 1.0} for row in seen.spotlights]
    return sorted(rows, key=lambda row: (row["start_s"], row["end_s"], row["kind"], row.get("speaker") or 0))


@dataclass(frozen=True)
class Attribution:
    """Which person each speaker is: named: speaker -> the persons of that name and how like it is; marked: speaker -> the person
    whom the picture marks meanwhile, and how sure that is; stays: person -> when they are in the picture.
    """

    named: Mapping[int, tuple[list[int], float]]
    marked: Mapping[int, tuple[int, float]]
    stays: Mapping[int, list[tuple[float, float]]]

    @classmethod
    def of(cls, spoken: Sequence[Utterance], speakers: Mapping[str, int], seen: Seen) -> Attribution:
        """Names decide where they are known; of the others who the picture marks while they speak."""
        named = {number: found for key, number in speakers.items() if (found := _called(key, seen.names))}
        taken = {person for persons, _ in named.values() for person in persons}
        stays = defaultdict(list)
        for row in seen.tiles:
            if row["person"] is not None:
                stays[row["person"]].append((row["start_s"], row["end_s"]))
        return cls(named, _marked(spoken, speakers, seen, set(named), taken), stays)

    def person(self, speaker: int | None, at_s: float) -> tuple[int | None, float | None]:
        """The person who is this speaker at a moment, and how sure that is. Of several of one name the one who is there."""
        if speaker in self.named:
            persons, alike = self.named[speaker]
            there = [one for one in persons if len(persons) == 1 or any(start <= at_s < end for start, end in self.stays.get(one, ()))]
            return (there[0], alike) if len(there) == 1 else (None, None)
        return self.marked.get(speaker, (None, None))


def _called(key: str, names: Mapping[int, tuple[str, str]]) -> tuple[list[int], float] | None:
    """The persons of a name, and how like theirs is to it."""
    name = likest(key, sorted({name for name, _ in names.values()}))
    if name is None:
        return None
    return sorted(number for number, (other, _) in names.items() if other == name), likeness(key, name)


def _marked(spoken: Sequence[Utterance], speakers: Mapping[str, int], seen: Seen, known: set[int], taken: set[int]
            ) -> dict[int, tuple[int, float]]:
    """The speakers whom the picture tells, without those that are known by name and the persons who are."""
    kind = next((kind for kind in SAY_WHEN if any(one.kind == kind and one.name for one in spoken)), None)
    timed = [(one.start_s, one.end_s, speakers[name_key(one.name)] - 1) for one in spoken if one.kind == kind and one.name]
    lit = [(row["start_s"], row["end_s"], -1 if row["person"] is None or row["person"] in taken else row["person"])
           for row in seen.spotlights]
    person, sure = attribute(_spans([one for one in timed if one[2] + 1 not in known]), _spans(lit), len(speakers))
    return {number + 1: (int(person[number]), float(sure[number])) for number in np.flatnonzero(person >= 0)}


def _spans(rows: Sequence[tuple[float, float, int]]) -> Spans:
    columns = np.array(rows, np.float64).reshape(-1, 3)
    return Spans(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int64))
