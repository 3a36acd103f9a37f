"""The columns of the tables that only some runs have: of meetings gallery tiles, spotlights, speech and names; and aggregates."""

from __future__ import annotations

from crowdmood.fields import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT,
    RUN,
    SMALL,
    STRING,
    TEXT,
    field,
    schema,
)

TILES = schema(
    "One row per segment of constant layout, gallery tile and person in it; only meetings have rows.",
    RUN,
    field("segment", INT, "", "number of the segment, from 1; a new one begins where the layout changes"),
    field("layout", TEXT, "", "'gallery', 'speaker', 'side by side', 'share', 'single' or 'none'"),
    field("start_s", DOUBLE, "s", "when the segment begins"),
    field("end_s", DOUBLE, "s", "when the segment ends"),
    field("tile", SMALL, "", "number of the tile in the segment, from 1, row by row; NULL in the one row of a segment without tiles", True),
    field("role", TEXT, "", "'tile', 'stage' for a large speaker, or 'share' for a shared screen; NULL without a tile", True),
    field("x1", FLOAT, "px", "left edge of the tile in the displayed picture; NULL without a tile", True),
    field("y1", FLOAT, "px", "top edge of the tile in the displayed picture; NULL without a tile", True),
    field("x2", FLOAT, "px", "right edge of the tile in the displayed picture; NULL without a tile", True),
    field("y2", FLOAT, "px", "bottom edge of the tile in the displayed picture; NULL without a tile", True),
    field("live", BOOL, "", "whether a camera is on there: avatars and photos stand still"),
    field("person", INT, "", "the person in the tile; NULL where there is none", True),
    field("joined_by", TEXT, "", "what says that this is the person of an earlier segment: 'label', 'look' or 'order'; "
           "'new' for a person who was not there before; NULL without a person", True),
    field("confidence", FLOAT, "0..1", "how sure that is", True),
)
SPOTLIGHTS = schema(
    "One row per span in which a gallery tile is marked as the speaker's, or the speaker fills the stage; only meetings have rows.",
    RUN,
    field("start_s", DOUBLE, "s", "when the span begins"),
    field("end_s", DOUBLE, "s", "when the span ends"),
    field("segment", INT, "", "the segment of layout: tiles.segment"),
    field("tile", SMALL, "", "the tile in that segment: tiles.tile"),
    field("person", INT, "", "the person in the tile; NULL where there is none", True),
)
SPEECH = schema(
    "One row per utterance of a transcript, span of a timeline, chat message, or spotlight; only meetings have rows.",
    RUN,
    field("start_s", DOUBLE, "s", "when it begins, on the recording's clock"),
    field("end_s", DOUBLE, "s", "when it ends; a chat message ends where it begins"),
    field("speaker", INT, "", "the speaker within this run, from 1 in order of first appearance; NULL where nobody is named", True),
    field("person", INT, "", "the person in the picture who is this speaker; NULL where that is not known", True),
    field("person_confidence", FLOAT, "0..1", "how sure that is", True),
    field("kind", TEXT, "", "'transcript', 'timeline', 'chat' or 'spotlight': what says so"),
    field("question", BOOL, "", "whether a sentence in it ends with a question mark; NULL without words", True),
    field("words", INT, "words", "words in it; NULL without words", True),
    field("text", STRING, "", "the words; NULL unless they were asked for", True),
)
NAMES = schema(
    "One row per name of a person or speaker; only where names were asked for, and gone after `crowdmood runs forget-names`.",
    RUN,
    field("kind", TEXT, "", "'person' or 'speaker'"),
    field("number", INT, "", "persons.person or speech.speaker"),
    field("name", STRING, "", "the name"),
    field("read_by", TEXT, "", "'label' in the picture, 'file' of names, or 'transcript'"),
)
AGGREGATES = schema(
    "One row per row of a report's answer that a run keeps instead of its persons; only runs with --aggregate-only have rows.",
    RUN,
    field("report", TEXT, "", "name of the SQL report"),
    field("asked", STRING, "JSON", "the report's parameters"),
    field("place", INT, "", "number of the row in the report's answer, from 1"),
    field("persons", INT, "persons", "persons behind the row's figures: at least 5"),
    field("figures", STRING, "JSON", "the row, without what belongs to single persons"),
)
