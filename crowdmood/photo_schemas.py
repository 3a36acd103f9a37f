"""The columns of the table that says which frame of a run is which photo."""

from __future__ import annotations

from crowdmood.fields import INT, LONG, RUN, STRING, TEXT, field, schema

PHOTOS = schema(
    "One row per photo, and per frame of an animated one; only runs of `crowdmood photos rank` have rows.",
    RUN,
    field("frame", LONG, "", "number of the photo in the order of names, from 0: frames.frame; there is no such row where it could not be read"),
    field("file", STRING, "", "path of the file within runs.path"),
    field("page", INT, "", "which frame of an animation, from 0; 0 for an ordinary photo"),
    field("format", TEXT, "", "JPEG, PNG, ...; NULL where that could not be told", True),
    field("width", INT, "px", "width as displayed: EXIF's orientation is applied", True),
    field("height", INT, "px", "height as displayed", True),
    field("taken", STRING, "", "when it was taken by the camera's own clock, such as 2026-05-01T14:30:00; NULL where it does not say", True),
    field("size_bytes", LONG, "bytes", "size of the file", True),
    field("digest", STRING, "", "sha256 of the file's content", True),
    field("error", STRING, "", "why the photo could not be read; NULL: it could", True),
)
