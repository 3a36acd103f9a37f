"""What a visitor can ask of an analysis: the few of its options that matter in a browser. What is left out is as the server has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from crowdmood.law import EXCEPTED, FORBIDDEN
from crowdmood.options import CONTEXTS, Options

MEANINGS = {
    "research": "Research: a study, with ethics approval and consent",
    "event": "Event: a public event whose guests were told",
    "media": "Media: journalism, film, published recordings",
    "consented": "Consented: all in the picture have agreed, freely",
    "private": "Private: my own recordings, for myself",
    "medical": "Medical reasons",
    "safety": "Safety reasons",
    "work": "Work: a workplace",
    "education": "Education: a school or university",
}
"""What each context declares, as people choose it; docs/responsible-use.md says more."""
LAW = {**FORBIDDEN, **EXCEPTED}
RATES = (("1", "1 a second: fast, for long recordings"), ("2", "2 a second"), ("5", "5 a second"), ("10", "10 a second"), ("all", "every frame: slow"))
TILES = (("auto", "as the picture needs it"), ("off", "never: fast"), ("2x2", "always, 2 × 2 parts"), ("3x3", "always, 3 × 3 parts: slow"))
MEETINGS = (("auto", "as the picture shows"), ("on", "yes, tiles are persons"), ("off", "no, a film"))


class Asked(BaseModel):
    """How a recording is to be analyzed."""

    model_config = ConfigDict(extra="forbid")

    context: Literal[CONTEXTS] = Field(description="What the analysis is for; kept in the run and printed in its report. The EU AI "
                                                   "Act forbids inferring emotions at work and in education.")
    sample_fps: Annotated[float, Field(gt=0, le=240)] | Literal["all"] | None = Field(None, description="Frames analyzed per second of recording, or 'all'.")
    start_s: float | None = Field(None, ge=0, le=1e7, description="Where to begin, seconds.")
    end_s: float | None = Field(None, gt=0, le=1e7, description="Where to stop, seconds; null is the end.")
    tiles: str | None = Field(None, pattern="^(auto|off|[1-9]x[1-9])$", description="Look at parts of the picture one by one, for halls "
                                                                                      "full of small faces: auto, off or rows x columns.")
    meeting: Literal["auto", "on", "off"] | None = Field(None, description="Whether the tiles of a video call are persons.")
    aggregate_only: bool = Field(False, description="Keep no figures of single persons, and none of fewer than 5 together.")

    def kept(self) -> dict[str, Any]:
        """What was said, as it is kept."""
        return self.model_dump(exclude_defaults=True)


def options_from(usual: Options, asked: Mapping[str, Any]) -> Options:
    """The options of an analysis. usual: the server's; asked: what `Asked.kept` gave. Raises CrowdmoodError where they make no sense."""
    said = {name: None if value == "all" else value for name, value in asked.items() if value is not None and name in Asked.model_fields}
    return replace(usual, **said)
