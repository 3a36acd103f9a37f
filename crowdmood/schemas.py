"""The columns of every table: type, unit and meaning, in one place.

Each Arrow field carries its `unit` and `description` in its metadata, each schema the table's description and
the schema version; the Parquet files keep them, the DuckDB catalog shows them as comments, docs/tables.md
repeats them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from crowdmood.labels import EXPRESSIONS

SCHEMA_VERSION = 2
SIGNATURE_BYTES = 180
# Floats of faces are stored in these steps, by unit: finer digits are noise of the networks, and would take half of the disk.
STEPS = {"0..1": 1 / 4096, "-1..1": 1 / 4096, "px": 1 / 16, "": 1 / 64}

INT, LONG, SMALL = pa.int32(), pa.int64(), pa.int16()
FLOAT, DOUBLE, BOOL, STRING = pa.float32(), pa.float64(), pa.bool_(), pa.string()
TEXT = pa.dictionary(pa.int32(), pa.string())
TIMESTAMP = pa.timestamp("us", tz="UTC")


def _field(name: str, kind: pa.DataType, unit: str, description: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable, metadata={"unit": unit, "description": description})


def _schema(description: str, *fields: pa.Field) -> pa.Schema:
    return pa.schema(fields, metadata={"description": description, "schema_version": str(SCHEMA_VERSION)})


def _mix(of: str) -> list[pa.Field]:
    return [
        _field(
            name,
            FLOAT,
            "0..1",
            f"mean calibrated probability of {name} over {of}; NULL without any",
            nullable=True,
        )
        for name in EXPRESSIONS
    ]


_RUN = _field(
    "run", TEXT, "", "id of the run: a digest of the recording's content, options, models and schema"
)
_FRAME = _field(
    "frame", LONG, "", "number of the frame in presentation order, from 0, in the whole recording"
)
_PTS = _field("pts", LONG, "time base", "presentation time of the frame, exact, in ticks of runs.time_base")
_TIME = _field("time_s", DOUBLE, "s", "time of the frame, seconds from the first displayed frame")
_PERSON = _field("person", INT, "", "the person within this run, from 1 in order of first appearance")
_POSITIVITY = "happy - greatest(angry, disgust, fear, sad) of the means; NULL without usable faces"

_FACE_FIELDS = (
    _RUN,
    _FRAME,
    _PTS,
    _TIME,
    _field("face", SMALL, "", "number of the face in its frame, from 0, left to right"),
    _field("x1", FLOAT, "px", "left edge of the face's box in the displayed picture"),
    _field("y1", FLOAT, "px", "top edge of the face's box in the displayed picture"),
    _field("x2", FLOAT, "px", "right edge of the face's box in the displayed picture"),
    _field("y2", FLOAT, "px", "bottom edge of the face's box in the displayed picture"),
    _field("score", FLOAT, "0..1", "how sure the detector is that this is a face"),
    _field("size_px", FLOAT, "px", "square root of the box's area"),
    _field("sharpness", FLOAT, "", "how sharp the crop is; low is blurred", nullable=True),
    _field(
        "usable",
        BOOL,
        "",
        "whether the face is large, sharp and sure enough for its expression to be counted",
    ),
    *(
        _field(name, FLOAT, "0..1", f"calibrated probability of {name}, in steps of 1/4096; the seven sum to 1", nullable=True)
        for name in EXPRESSIONS
    ),
    _field(
        "expression",
        TEXT,
        "",
        "the expression with the largest probability, or 'uncertain' on an unusable face",
    ),
    _field("confidence", FLOAT, "0..1", "the largest of the seven probabilities", nullable=True),
    _field("valence", FLOAT, "-1..1", "happy - angry - disgust - fear - sad", nullable=True),
)
_FRAME_FIELDS = (
    _RUN,
    _FRAME,
    _PTS,
    _TIME,
    _field("faces", SMALL, "faces", "faces found in the frame"),
    _field("usable_faces", SMALL, "faces", "faces whose expression is counted"),
)

FACES_PART = _schema("One row per face per analyzed frame, as scanned, of one chunk.", *_FACE_FIELDS)
FRAMES_PART = _schema(
    "One row per analyzed frame, as scanned, of one chunk.",
    *_FRAME_FIELDS,
    _field(
        "signature",
        pa.binary(SIGNATURE_BYTES),
        "",
        "16x9 grey thumbnail and 36 bins of colour histogram, for finding cuts; not kept in the final table",
    ),
)

FACES = _schema(
    "One row per face per analyzed frame.",
    *_FACE_FIELDS,
    _field(
        "track",
        INT,
        "",
        "the unbroken appearance the face belongs to, from 1; NULL on a face too brief to be "
        "followed and until the run is complete",
        True,
    ),
    _field(
        "person",
        INT,
        "",
        "the person within this run, from 1 in order of first appearance; NULL on a face too "
        "brief to be followed and until the run is complete",
        True,
    ),
    _field(
        "expressiveness",
        FLOAT,
        "-1..1",
        "1 - neutral, minus the median of that over the person's usable faces; "
        "NULL on an unusable face and until the run is complete",
        True,
    ),
)
FRAMES = _schema(
    "One row per analyzed frame, also without faces.",
    *_FRAME_FIELDS[:4],
    _field(
        "shown_s", DOUBLE, "s", "seconds until the next analyzed frame; NULL until the run is complete", True
    ),
    *_FRAME_FIELDS[4:],
    _field("persons", INT, "persons", "persons in the frame; NULL until the run is complete", True),
    _field("cut", BOOL, "", "whether a new scene starts at this frame; NULL until the run is complete", True),
    *_mix("the frame's usable faces"),
    _field("positivity", FLOAT, "-1..1", _POSITIVITY, True),
)
PERSONS = _schema(
    "One row per person of a run.",
    _RUN,
    _PERSON,
    _field("first_s", DOUBLE, "s", "time of the first frame with the person"),
    _field("last_s", DOUBLE, "s", "time of the last frame with the person"),
    _field("seen_s", DOUBLE, "s", "seconds with the person's face in the picture: frames.shown_s, summed"),
    _field("frames", INT, "frames", "analyzed frames with the person's face"),
    _field("usable_frames", INT, "frames", "analyzed frames in which the face's expression is counted"),
    _field("tracks", INT, "tracks", "unbroken appearances"),
    _field("size_px", FLOAT, "px", "median of faces.size_px"),
    *_mix("the person's usable faces"),
    _field("expression", TEXT, "", "the largest of the means, or 'uncertain' without usable faces"),
    _field("positivity", FLOAT, "-1..1", _POSITIVITY, True),
)
TIMELINE = _schema(
    "One row per second from the first to the last analyzed frame.",
    _RUN,
    _field("second", INT, "s", "the second: times from `second` up to, not including, `second` + 1"),
    _field("frames", INT, "frames", "analyzed frames in the second; 0 where one frame is shown for longer"),
    _field("faces", INT, "faces", "faces in those frames, each frame's counted anew"),
    _field("usable_faces", INT, "faces", "of those, the ones whose expression is counted"),
    _field("persons", INT, "persons", "different persons in the second"),
    *_mix("the second's usable faces"),
    _field("positivity", FLOAT, "-1..1", _POSITIVITY, True),
    _field("valence", FLOAT, "-1..1", "mean of faces.valence over usable faces; NULL without any", True),
    _field("coverage", FLOAT, "0..1", "usable_faces / faces; NULL without faces", True),
)
RUNS = _schema(
    "One row per run: the recording's facts, how it was analyzed, and how far.",
    _RUN,
    _field("recording", STRING, "", "file name of the recording"),
    _field("path", STRING, "", "path or address the recording was read from"),
    _field("digest", STRING, "", "sha256 of the recording's content"),
    _field("size_bytes", LONG, "bytes", "size of the recording", True),
    _field("container", STRING, "", "container format", True),
    _field("codec", STRING, "", "video codec", True),
    _field("width", INT, "px", "width of the displayed picture, after rotation", True),
    _field("height", INT, "px", "height of the displayed picture, after rotation", True),
    _field("rotation", INT, "degrees", "clockwise rotation applied for display: 0, 90, 180 or 270", True),
    _field("duration_s", DOUBLE, "s", "time of the last frame plus its duration", True),
    _field("time_base", STRING, "s", "length of one tick of pts, as a fraction, such as 1/90000", True),
    _field("frames_promised", LONG, "frames", "frames the container's header promises", True),
    _field("frames_found", LONG, "frames", "displayed frames that the file's packets really hold", True),
    _field("frames_decoded", LONG, "frames", "frames that were to be analyzed and could be decoded", True),
    _field("frames_missing", LONG, "frames", "frames that were to be analyzed and could not be decoded", True),
    _field("frames_analyzed", LONG, "frames", "frames looked at: rows in frames", True),
    _field("damaged_packets", LONG, "packets", "packets that could not be decoded", True),
    _field("decoder", STRING, "", "decoder that was used", True),
    _field("device", STRING, "", "device the networks ran on", True),
    _field("runtime", STRING, "", "runtime the networks ran in", True),
    _field("sample_fps", DOUBLE, "1/s", "sampling instants per second; NULL: every frame", True),
    _field("options", STRING, "JSON", "options of the run", True),
    _field("models", STRING, "JSON", "model names and the sha256 of their weights", True),
    _field("version", STRING, "", "version of crowdmood that made the run", True),
    _field("schema_version", INT, "", "version of these tables' schemas"),
    _field(
        "status", STRING, "", "running, complete or failed; a stopped run stays running until it is run again"
    ),
    _field("error", STRING, "", "why the run failed", True),
    _field("started", TIMESTAMP, "UTC", "when the run started", True),
    _field("finished", TIMESTAMP, "UTC", "when the run was complete or failed", True),
    _field("chunks", INT, "chunks", "chunks the recording is cut into", True),
    _field("chunks_done", INT, "chunks", "chunks finished when this row was written", True),
    _field("faces", LONG, "faces", "rows in faces", True),
    _field("persons", LONG, "persons", "rows in persons", True),
    _field("seconds", DOUBLE, "s", "how long the run took", True),
    _field("erased", INT, "persons", "persons that were erased from the run on request; NULL: none", True),
)

TABLES: dict[str, pa.Schema] = {
    "faces": FACES,
    "frames": FRAMES,
    "persons": PERSONS,
    "timeline": TIMELINE,
    "runs": RUNS,
}
PARTS: dict[str, pa.Schema] = {"frames": FRAMES_PART, "faces": FACES_PART}
# Each table's key, by which its rows are sorted within a run.
KEYS: dict[str, tuple[str, ...]] = {
    "faces": ("frame", "face"),
    "frames": ("frame",),
    "persons": ("person",),
    "timeline": ("second",),
    "runs": (),
}


def part_table(table: str, run: str, columns: Mapping[str, np.ndarray]) -> pa.Table:
    """Arrow rows of one chunk from arrays.

    table: 'faces' or 'frames'. columns: one array (n,) for each column of PARTS[table] but `run`; `signature`
    is uint8 (n, 180), `expression` a sequence of str; NaN in a nullable float column becomes NULL.
    Raises ValueError on a missing or unknown column and on arrays of different lengths.
    """
    schema = PARTS[table]
    if set(columns) != set(schema.names) - {"run"}:
        raise ValueError(
            f"{table}: columns {sorted(set(columns) ^ (set(schema.names) - {'run'}))} missing or unknown"
        )
    rows = len(columns["frame"])
    arrays = [_array(field, [run] * rows if field.name == "run" else columns[field.name]) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(field: pa.Field, values) -> pa.Array:
    if field.name == "signature":
        values = np.ascontiguousarray(values, dtype=np.uint8)
        if values.ndim != 2 or values.shape[1] != SIGNATURE_BYTES:
            raise ValueError(f"signature: shape (n, {SIGNATURE_BYTES}) expected, got {values.shape}")
        return pa.Array.from_buffers(field.type, len(values), [None, pa.py_buffer(values)])
    if pa.types.is_dictionary(field.type):
        return pa.array(values, STRING).dictionary_encode()
    if field.type == FLOAT:
        step = STEPS[field.metadata[b"unit"].decode()]
        values = (np.round(np.asarray(values, np.float64) / step) * step).astype(np.float32)
    return pa.array(values, field.type, from_pandas=field.nullable)
