"""The columns of every table: type, unit and meaning, in one place.

Each Arrow field carries its `unit` and `description` in its metadata, each schema the table's description and
the schema version; the Parquet files keep them, the DuckDB catalog shows them as comments, docs/tables.md
repeats them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from crowdmood.fields import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT,
    LONG,
    PERSON,
    RUN,
    SCHEMA_VERSION,
    SMALL,
    STRING,
    TEXT,
    TIMESTAMP,
    field,
    schema,
)
from crowdmood.labels import EXPRESSIONS
from crowdmood.meeting_schemas import AGGREGATES, NAMES, SPEECH, SPOTLIGHTS, TILES
from crowdmood.photo_schemas import PHOTOS

__all__ = ["ALWAYS", "FACES", "FRAMES", "KEYS", "PARTS", "PERSONS", "RUNS", "SCHEMA_VERSION", "TABLES", "TIMELINE", "part_table", "table_of"]

SIGNATURE_BYTES = 180
# Floats of faces are stored in these steps, by unit: finer digits are noise of the networks, and would take half of the disk.
STEPS = {"0..1": 1 / 4096, "-1..1": 1 / 4096, "px": 1 / 16, "": 1 / 64}


def _mix(of: str) -> list[pa.Field]:
    return [
        field(
            name,
            FLOAT,
            "0..1",
            f"mean calibrated probability of {name} over {of}; NULL without any",
            nullable=True,
        )
        for name in EXPRESSIONS
    ]


_FRAME = field(
    "frame", LONG, "", "number of the frame in presentation order, from 0, in the whole recording"
)
_PTS = field("pts", LONG, "time base", "presentation time of the frame, exact, in ticks of runs.time_base")
_TIME = field("time_s", DOUBLE, "s", "time of the frame, seconds from the first displayed frame")
_POSITIVITY = "happy - greatest(angry, disgust, fear, sad) of the means; NULL without usable faces"

_FACE_FIELDS = (
    RUN,
    _FRAME,
    _PTS,
    _TIME,
    field("face", SMALL, "", "number of the face in its frame, from 0, left to right"),
    field("x1", FLOAT, "px", "left edge of the face's box in the displayed picture"),
    field("y1", FLOAT, "px", "top edge of the face's box in the displayed picture"),
    field("x2", FLOAT, "px", "right edge of the face's box in the displayed picture"),
    field("y2", FLOAT, "px", "bottom edge of the face's box in the displayed picture"),
    field("score", FLOAT, "0..1", "how sure the detector is that this is a face"),
    field("size_px", FLOAT, "px", "square root of the box's area"),
    field("sharpness", FLOAT, "", "how sharp the crop is; low is blurred", nullable=True),
    field(
        "usable",
        BOOL,
        "",
        "whether the face is large, sharp and sure enough for its expression to be counted",
    ),
    *(
        field(name, FLOAT, "0..1", f"calibrated probability of {name}, in steps of 1/4096; the seven sum to 1", nullable=True)
        for name in EXPRESSIONS
    ),
    field(
        "expression",
        TEXT,
        "",
        "the expression with the largest probability, or 'uncertain' on an unusable face",
    ),
    field("confidence", FLOAT, "0..1", "the largest of the seven probabilities", nullable=True),
    field("valence", FLOAT, "-1..1", "happy - angry - disgust - fear - sad", nullable=True),
)
_FRAME_FIELDS = (
    RUN,
    _FRAME,
    _PTS,
    _TIME,
    field("faces", SMALL, "faces", "faces found in the frame"),
    field("usable_faces", SMALL, "faces", "faces whose expression is counted"),
)

FACES_PART = schema("One row per face per analyzed frame, as scanned, of one chunk.", *_FACE_FIELDS)
FRAMES_PART = schema(
    "One row per analyzed frame, as scanned, of one chunk.",
    *_FRAME_FIELDS,
    field(
        "signature",
        pa.binary(SIGNATURE_BYTES),
        "",
        "16x9 grey thumbnail and 36 bins of colour histogram, for finding cuts; not kept in the final table",
    ),
    field(
        "tiles", pa.binary(), "", "the gallery tiles seen in the frame, packed as layout.packed does; not kept in the final table"
    ),
)

FACES = schema(
    "One row per face per analyzed frame.",
    *_FACE_FIELDS,
    field(
        "track",
        INT,
        "",
        "the unbroken appearance the face belongs to, from 1; NULL on a face too brief to be "
        "followed and until the run is complete",
        True,
    ),
    field(
        "person",
        INT,
        "",
        "the person within this run, from 1 in order of first appearance; NULL on a face too "
        "brief to be followed and until the run is complete",
        True,
    ),
    field(
        "expressiveness",
        FLOAT,
        "-1..1",
        "1 - neutral, minus the median of that over the person's usable faces; "
        "NULL on an unusable face and until the run is complete",
        True,
    ),
    field("tile", SMALL, "", "in a meeting, the tile the face is in: tiles.tile; NULL elsewhere and until the run is complete", True),
)
FRAMES = schema(
    "One row per analyzed frame, also without faces.",
    *_FRAME_FIELDS[:4],
    field(
        "shown_s", DOUBLE, "s", "seconds until the next analyzed frame; NULL until the run is complete", True
    ),
    *_FRAME_FIELDS[4:],
    field("persons", INT, "persons", "persons in the frame; NULL until the run is complete", True),
    field("cut", BOOL, "", "whether a new scene starts at this frame; NULL until the run is complete", True),
    *_mix("the frame's usable faces"),
    field("positivity", FLOAT, "-1..1", _POSITIVITY, True),
)
PERSONS = schema(
    "One row per person of a run.",
    RUN,
    PERSON,
    field("first_s", DOUBLE, "s", "time of the first frame with the person"),
    field("last_s", DOUBLE, "s", "time of the last frame with the person"),
    field("seen_s", DOUBLE, "s", "seconds with the person's face in the picture: frames.shown_s, summed"),
    field("frames", INT, "frames", "analyzed frames with the person's face"),
    field("usable_frames", INT, "frames", "analyzed frames in which the face's expression is counted"),
    field("tracks", INT, "tracks", "unbroken appearances"),
    field("size_px", FLOAT, "px", "median of faces.size_px"),
    *_mix("the person's usable faces"),
    field("expression", TEXT, "", "the largest of the means, or 'uncertain' without usable faces"),
    field("positivity", FLOAT, "-1..1", _POSITIVITY, True),
)
TIMELINE = schema(
    "One row per second from the first to the last analyzed frame.",
    RUN,
    field("second", INT, "s", "the second: times from `second` up to, not including, `second` + 1"),
    field("frames", INT, "frames", "analyzed frames in the second; 0 where one frame is shown for longer"),
    field("faces", INT, "faces", "faces in those frames, each frame's counted anew"),
    field("usable_faces", INT, "faces", "of those, the ones whose expression is counted"),
    field("persons", INT, "persons", "different persons in the second"),
    *_mix("the second's usable faces"),
    field("positivity", FLOAT, "-1..1", _POSITIVITY, True),
    field("valence", FLOAT, "-1..1", "mean of faces.valence over usable faces; NULL without any", True),
    field("coverage", FLOAT, "0..1", "usable_faces / faces; NULL without faces", True),
)
RUNS = schema(
    "One row per run: the recording's facts, how it was analyzed, and how far.",
    RUN,
    field("recording", STRING, "", "file name of the recording"),
    field("path", STRING, "", "path or address the recording was read from"),
    field("digest", STRING, "", "sha256 of the recording's content"),
    field("size_bytes", LONG, "bytes", "size of the recording", True),
    field("container", STRING, "", "container format", True),
    field("codec", STRING, "", "video codec", True),
    field("width", INT, "px", "width of the displayed picture, after rotation", True),
    field("height", INT, "px", "height of the displayed picture, after rotation", True),
    field("rotation", INT, "degrees", "clockwise rotation applied for display: 0, 90, 180 or 270", True),
    field("duration_s", DOUBLE, "s", "time of the last frame plus its duration", True),
    field("time_base", STRING, "s", "length of one tick of pts, as a fraction, such as 1/90000", True),
    field("frames_promised", LONG, "frames", "frames the container's header promises", True),
    field("frames_found", LONG, "frames", "displayed frames that the file's packets really hold", True),
    field("frames_decoded", LONG, "frames", "frames that were to be analyzed and could be decoded", True),
    field("frames_missing", LONG, "frames", "frames that were to be analyzed and could not be decoded", True),
    field("frames_analyzed", LONG, "frames", "frames looked at: rows in frames", True),
    field("damaged_packets", LONG, "packets", "packets that could not be decoded", True),
    field("decoder", STRING, "", "decoder that was used", True),
    field("device", STRING, "", "device the networks ran on", True),
    field("runtime", STRING, "", "runtime the networks ran in", True),
    field("sample_fps", DOUBLE, "1/s", "sampling instants per second; NULL: every frame", True),
    field("options", STRING, "JSON", "options of the run", True),
    field("models", STRING, "JSON", "model names and the sha256 of their weights", True),
    field("version", STRING, "", "version of crowdmood that made the run", True),
    field("schema_version", INT, "", "version of these tables' schemas"),
    field(
        "status", STRING, "", "running, complete or failed; a stopped run stays running until it is run again"
    ),
    field("error", STRING, "", "why the run failed", True),
    field("started", TIMESTAMP, "UTC", "when the run started", True),
    field("finished", TIMESTAMP, "UTC", "when the run was complete or failed", True),
    field("chunks", INT, "chunks", "chunks the recording is cut into", True),
    field("chunks_done", INT, "chunks", "chunks finished when this row was written", True),
    field("faces", LONG, "faces", "rows in faces", True),
    field("persons", LONG, "persons", "rows in persons", True),
    field("seconds", DOUBLE, "s", "how long the run took", True),
    field("erased", INT, "persons", "persons that were erased from the run on request; NULL: none", True),
    field("layout", STRING, "", "'meeting' where gallery tiles were found, as Zoom, Teams and Meet show them; 'photos' for a folder of photos; NULL: a film", True),
    field("context", STRING, "", "the context that the operator declared, such as 'research'; NULL: none", True),
)
TABLES: dict[str, pa.Schema] = {
    "faces": FACES,
    "frames": FRAMES,
    "persons": PERSONS,
    "timeline": TIMELINE,
    "runs": RUNS,
    "tiles": TILES,
    "spotlights": SPOTLIGHTS,
    "speech": SPEECH,
    "names": NAMES,
    "aggregates": AGGREGATES,
    "photos": PHOTOS,
}
ALWAYS = ("faces", "frames", "persons", "timeline", "runs")
"""Tables that every complete run has; the others are those of meetings, aggregates and photos."""
PARTS: dict[str, pa.Schema] = {"frames": FRAMES_PART, "faces": FACES_PART}
# Each table's key, by which its rows are sorted within a run.
KEYS: dict[str, tuple[str, ...]] = {
    "faces": ("frame", "face"),
    "frames": ("frame",),
    "persons": ("person",),
    "timeline": ("second",),
    "runs": (),
    "tiles": ("segment", "tile", "person"),
    "spotlights": ("start_s", "segment", "tile"),
    "speech": ("start_s", "end_s", "kind", "speaker"),
    "names": ("kind", "number"),
    "aggregates": ("report", "place"),
    "photos": ("frame",),
}


def part_table(table: str, run: str, columns: Mapping[str, np.ndarray]) -> pa.Table:
    """Arrow rows of one chunk from arrays; table: 'faces' or 'frames'. As `table_of`."""
    return table_of(PARTS[table], run, columns)


def table_of(form: pa.Schema, run: str, columns: Mapping[str, np.ndarray]) -> pa.Table:
    """Arrow rows of a schema from arrays.

    columns: one array (n,) for each column of the schema but `run`; `signature` is uint8 (n, 180), `tiles` a sequence of bytes,
    text one of str; NaN in a nullable float column and None become NULL.
    Raises ValueError on a missing or unknown column and on arrays of different lengths.
    """
    if wrong := set(columns) ^ (set(form.names) - {"run"}):
        raise ValueError(f"columns {sorted(wrong)} missing or unknown")
    rows = len(next(iter(columns.values())))
    arrays = [_array(one, [run] * rows if one.name == "run" else columns[one.name]) for one in form]
    return pa.Table.from_arrays(arrays, schema=form)


def _array(column: pa.Field, values) -> pa.Array:
    if column.name == "signature":
        values = np.ascontiguousarray(values, dtype=np.uint8)
        if values.ndim != 2 or values.shape[1] != SIGNATURE_BYTES:
            raise ValueError(f"signature: shape (n, {SIGNATURE_BYTES}) expected, got {values.shape}")
        return pa.Array.from_buffers(column.type, len(values), [None, pa.py_buffer(values)])
    if pa.types.is_dictionary(column.type):
        return pa.array(values, STRING).dictionary_encode()
    if column.type == FLOAT:
        step = STEPS[column.metadata[b"unit"].decode()]
        values = (np.round(np.asarray(values, np.float64) / step) * step).astype(np.float32)
    return pa.array(values, column.type, from_pandas=column.nullable)
