"""Generated meetings through the whole product, held to the bars that docs/decisions.md names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from crowdmood.analysis import analyze
from crowdmood.options import Execution, Options
from crowdmood.sources import only, options_for
from tests.meeting_figures import (
    Seen,
    compare,
    figures,
    identity_counts,
    own_identity_counts,
    paired,
)
from tests.meetings import Spec, gallery_boxes, make

pytestmark = pytest.mark.slow
MEETINGS = {
    "gallery": Spec(seed=5, people=6, seconds=22, fps=2.5, size=(960, 540), gutter=4, background=26, clock=True, off=0.35),
    "no gutters, a meeting room": Spec(seed=8, people=4, seconds=10, fps=3, rooms=1, mute_marks=True, off=0),
    "speaker, share, gallery": Spec(seed=3, people=5, seconds=16, fps=3, events=2, layouts=("speaker", "share", "gallery")),
}


@pytest.fixture(scope="module", params=MEETINGS)
def seen(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("meeting")
    meeting = make(MEETINGS[request.param], folder / "recording")
    source = only(meeting.folder)
    run = analyze(source, options_for(source, Options()), Execution(threads=1), folder / "results")
    return run, meeting.truth, figures(run, meeting.truth)


def test_tiles_are_where_they_are(seen):
    _, _, found = seen
    assert found.tile_f1 >= 0.98


def test_changes_of_layout_are_found_when_they_happen(seen):
    _, _, found = seen
    assert found.boundary_errors
    assert found.boundary[1] <= 0.5
    assert found.boundaries_false == 0


def test_persons_stay_themselves(seen):
    _, _, found = seen
    assert found.idf1 >= 0.95
    assert found.switches_moved == 0


def test_drawn_faces_are_found_and_cameras_that_are_off_have_none(seen):
    _, _, found = seen
    assert found.faces > 50
    assert found.face_recall >= 0.95
    assert found.dead_faces == 0


def test_speech_goes_to_the_persons_who_speak(seen):
    _, truth, found = seen
    assert found.turns == pytest.approx(sum(speech.end_s - speech.start_s for speech in truth.speeches))
    assert found.attribution >= 0.9


def test_figures_of_a_perfect_run_are_perfect_and_errors_show(tmp_path):
    truth = make(Spec(seed=2, people=4, seconds=6, fps=2, size=(320, 180), events=2), tmp_path).truth
    perfect = _as_seen(truth)
    found = compare(perfect, truth)
    assert (found.tile_f1, found.idf1, found.boundary, found.attribution, found.face_recall) == (1, 1, (0, 0), 1, 1)
    assert found.switches == found.switches_moved == found.boundaries_false == found.dead_faces == 0

    persons = perfect.faces.copy()
    late = persons["frame"] >= len(truth.times) // 2
    persons.loc[late, "person"] = persons.loc[late, "person"].map({1: 2, 2: 1}).fillna(persons.loc[late, "person"])
    confused = compare(replace(perfect, faces=persons), truth)
    assert confused.switches == 2
    assert confused.idf1 < 1
    tiles = perfect.tiles.copy()
    tiles["x2"] += 0.2 * (tiles["x2"] - tiles["x1"])
    assert compare(replace(perfect, tiles=tiles), truth).tile_f1 == 0
    cut = perfect.frames.assign(cut=False)
    assert compare(replace(perfect, frames=cut), truth).boundary[1] == np.inf


def _as_seen(truth) -> Seen:
    """What a run would have seen that makes no error."""
    frames = np.arange(len(truth.times))
    starts = [segment.start_s for segment in truth.segments if segment.moved][1:]
    faces = pd.DataFrame(truth.faces, columns=["frame", "x1", "y1", "x2", "y2", "person"])
    tiles = [(number, place, segment.start_s, segment.end_s, *tile.box) for number, segment in enumerate(truth.segments)
             for place, tile in enumerate(segment.tiles)]
    speech = [(s.start_s, s.end_s, truth.persons[s.who][0] + 1 if truth.persons[s.who][0] in truth.faces[:, 5] else None)
              for s in truth.speeches]
    return Seen(pd.DataFrame({"frame": frames, "time_s": truth.times, "cut": np.isin(truth.times, starts)}),
                faces.assign(person=faces["person"] + 1),
                pd.DataFrame(tiles, columns=["segment", "tile", "start_s", "end_s", "x1", "y1", "x2", "y2"]),
                pd.DataFrame(speech, columns=["start_s", "end_s", "person"], dtype=object))


def test_identities_are_counted_as_motmetrics_counts_them():
    pytest.importorskip("motmetrics", reason="motmetrics is not installed: the figures are reckoned without it")
    rng = np.random.default_rng(0)
    true = np.array([(frame, 100 * person, 0, 100 * person + 50, 50, person) for frame in range(40) for person in range(4)], float)
    found = true[rng.random(len(true)) < 0.9].copy()
    found[:, 5] = np.where(rng.random(len(found)) < 0.2, rng.integers(1, 6, len(found)), found[:, 5] + 1)
    found = found[np.unique(found[:, [0, 5]], axis=0, return_index=True)[1]]
    pairs = paired(true, found)
    assert own_identity_counts(pairs) == identity_counts(pairs, np.arange(40))


@pytest.mark.parametrize(("count", "columns", "rows"), [(2, 2, 1), (3, 2, 2), (5, 3, 2), (10, 4, 3), (17, 5, 4), (26, 6, 5), (49, 7, 7)])
def test_galleries_have_the_rows_that_zoom_gives_them(count, columns, rows):
    boxes = np.array(gallery_boxes(count, (0, 0, 1920, 1080)))
    assert len(boxes) == count
    assert len(np.unique(boxes[:, 1])) == rows
    assert (boxes[:, 1] == boxes[0, 1]).sum() == columns
    sizes = boxes[:, 2:] - boxes[:, :2]
    assert np.allclose(sizes[:, 0] / sizes[:, 1], 16 / 9, rtol=0.02)
    assert abs(boxes[:, 0].min() + boxes[:, 2].max() - 1920) <= 1
