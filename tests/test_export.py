"""A run in the formats of other tools, read by those tools where they are installed."""

import csv
import io
import json
import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import webvtt

from crowdmood import exports, tables
from crowdmood.cli import crowdmood
from crowdmood.cli import export as command
from crowdmood.errors import ResultsError
from crowdmood.labels import EXPRESSIONS
from crowdmood.results import Run
from crowdmood.row_groups import ROW_GROUP
from crowdmood.schemas import ALWAYS, TABLES
from tests import browser
from tests.big_runs import BIG, make_big_run
from tests.forks import forked
from tests.made_runs import (
    EMPTY,
    FRAMES,
    PERSONS,
    RUN,
    face_columns,
    frame_columns,
    links,
    make_parts,
    make_run,
    run_row,
)

EMOTIONS = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
FEX = ["FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore", *EMOTIONS, "FrameHeight", "FrameWidth",
       "input", "frame", "approx_time", "Identity"]


@pytest.fixture
def run(tmp_path) -> Run:
    make_run(tmp_path)
    return Run(RUN, tmp_path)


@pytest.fixture(scope="module")
def big(tmp_path_factory) -> Run:
    """A quarter of an hour with 50 persons: more rows than fit into one row group."""
    folder = tmp_path_factory.mktemp("big")
    make_big_run(folder, persons=50, seconds=900, path="/films/big, 4.mp4")
    return Run(BIG, folder)


def text_of(run: Run, form: str, **settings) -> str:
    out = io.StringIO()
    exports.write(run, form, out, **settings)
    return out.getvalue()


def rows_of(run: Run, form: str, **settings) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(run, form, **settings))))


def column(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name] or "nan") for row in rows])


def make_moods(folder, frames: list[tuple[int, int, str | None]], **row) -> Run:
    """A run with a frame a second. frames: faces, usable faces, and what all show, with a probability of 0.7."""
    counts = [faces for faces, _, _ in frames]
    base = face_columns(frames=1, persons=max(sum(counts), 1))
    faces = {name: values[:sum(counts)] for name, values in base.items()}
    number = np.repeat(np.arange(len(frames)), counts)
    faces |= {"frame": number, "pts": number * 100, "time_s": number.astype(float),
              "face": np.concatenate([np.arange(count) for count in counts]),
              "usable": np.concatenate([np.arange(faces) < usable for faces, usable, _ in frames])}
    shown = np.array([mood or "neutral" for faces, _, mood in frames for _ in range(faces)])
    faces |= {name: np.where(shown == name, 0.7, 0.05).astype(np.float32) for name in EXPRESSIONS}
    looked = frame_columns(face_columns(), len(frames)) | {
        "frame": np.arange(len(frames)), "pts": np.arange(len(frames)) * 100, "time_s": np.arange(len(frames), dtype=float),
        "faces": np.array(counts), "usable_faces": np.array([usable for _, usable, _ in frames])}
    tables.write_run(folder, run_row(**{"chunks": 1, "duration_s": float(len(frames))} | row))
    tables.write_part(folder, RUN, 0, tables.part_table("frames", RUN, looked), tables.part_table("faces", RUN, faces))
    none = np.full(len(number), -1, np.int32)
    tables.complete(folder, RUN, links().__class__(none, none, np.zeros(len(frames), bool)))
    return Run(RUN, folder)


def test_the_command_knows_the_same_formats_and_tables():
    assert list(command.FORMATS) == list(exports.FORMATS)
    assert list(command.TABLES) == list(TABLES)


@pytest.mark.parametrize("table", ALWAYS)
def test_csv_and_json_hold_a_table(run, table):
    rows = run.sql(f"FROM {table}")
    written = rows_of(run, "csv", table=table)
    assert list(written[0]) == rows.column_names
    objects = json.loads(text_of(run, "json", table=table))
    assert len(written) == len(objects) == len(rows) > 0
    for name in ("happy", "time_s", "seen_s", "second", "duration_s"):
        if name in rows.column_names:
            truth = np.array(rows[name].to_pylist(), dtype=float)
            np.testing.assert_allclose(column(written, name), truth, rtol=1e-7)
            np.testing.assert_allclose(np.array([row[name] for row in objects], float), truth, rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "openface", "fex", "mot"])
def test_long_runs_are_written_in_order(big, form):
    lines = list(csv.reader(io.StringIO(text_of(big, form))))[form != "mot":]
    assert len(lines) == big.info["faces"] > ROW_GROUP
    place = {"csv": (1, 4), "openface": (0, 1), "fex": (15,), "mot": (0, 1)}[form]
    order = [tuple(float(line[index]) for index in place) for line in lines]
    assert order == sorted(order)


@pytest.mark.parametrize("form", ["fex", "deepface", "vtt"])
def test_the_same_run_gives_the_same_bytes(run, form):
    assert text_of(run, form) == text_of(run, form)


def test_fex_has_py_feats_columns(run):
    rows = rows_of(run, "fex")
    assert list(rows[0]) == FEX
    faces = run.faces
    assert len(rows) == len(faces) + EMPTY  # py-feat has a row without a face for a frame without faces
    assert [row["frame"] for row in rows[-EMPTY:]] == [str(6 * number) for number in range(FRAMES - EMPTY, FRAMES)]
    assert {row["FaceRectX"] + row["happiness"] + row["Identity"] for row in rows[-EMPTY:]} == {""}
    found = rows[:-EMPTY]
    np.testing.assert_allclose(column(found, "FaceRectX"), faces["x1"])
    np.testing.assert_allclose(column(found, "FaceRectHeight"), 60, atol=0.001)
    usable = faces["usable"].to_numpy()
    for theirs, ours in zip(EMOTIONS, EXPRESSIONS, strict=True):
        np.testing.assert_allclose(column(found, theirs), np.where(usable, faces[ours], np.nan))
    assert [row["Identity"] for row in found] == [f"Person_{person}" for person in faces["person"].to_pylist()]
    assert {row["input"] for row in rows} == {"/films/concert.mp4"}


def test_fex_has_frame_sizes_and_times_as_py_feat_writes_them(big):
    last = rows_of(big, "fex")[-1]
    assert (last["FrameHeight"], last["FrameWidth"], last["approx_time"]) == ("1080", "1920", "14:59")
    assert last["input"] == "/films/big, 4.mp4"


@pytest.mark.slow
def test_py_feat_opens_fex(run, big, tmp_path):
    reading = pytest.importorskip("feat.utils.io", reason="py-feat is not installed")
    path = tmp_path / "fex.csv"
    exports.export(run, "fex", path)
    fex = reading.read_feat(str(path))
    assert type(fex).__name__ == "Fex"
    assert fex.detector == "Feat"
    assert list(fex.columns) == FEX
    assert list(fex.emotions.columns) == EMOTIONS
    mean = run.sql("SELECT avg(happy) FILTER (usable) AS happy FROM faces")["happy"][0].as_py()
    assert fex.emotions["happiness"].mean() == pytest.approx(mean, rel=1e-6)
    assert list(fex.faceboxes.columns) == FEX[:5]
    assert fex.faceboxes.notna().sum().tolist() == [len(run.faces)] * 5
    assert fex.time["frame"].nunique() == FRAMES
    assert set(fex.identities.dropna()) == {f"Person_{person}" for person in range(1, PERSONS + 1)}
    assert set(fex.inputs) == {"/films/concert.mp4"}
    assert fex.aus.shape[1] == 0
    exports.export(big, "fex", path)
    together = reading.read_feat(str(path)).isc(col="happiness", columns="Identity")
    assert together.shape == (50, 50)


def test_openface_has_its_columns_as_far_as_they_are_measured(run):
    rows = rows_of(run, "openface")
    assert list(rows[0]) == ["frame", "face_id", "timestamp", "confidence", "success", "box_x", "box_y", "box_width",
                             "box_height", *EXPRESSIONS]
    faces = run.faces
    np.testing.assert_array_equal(column(rows, "frame"), faces["frame"].to_numpy() + 1)
    np.testing.assert_allclose(column(rows, "timestamp"), faces["time_s"], atol=0.0005)
    np.testing.assert_array_equal(column(rows, "success"), faces["usable"].to_numpy().astype(int))
    np.testing.assert_allclose(column(rows, "happy"), np.where(faces["usable"], faces["happy"], np.nan))
    assert not [name for name in rows[0] if name.startswith("AU")]


def test_faces_without_a_person_are_marked_or_left_out(tmp_path):
    run = make_moods(tmp_path, [(2, 2, "happy"), (1, 0, None)])
    assert {row["face_id"] for row in rows_of(run, "openface")} == {"-1"}
    assert {row["Identity"] for row in rows_of(run, "fex")} == {""}
    assert text_of(run, "mot") == ""


@pytest.mark.slow
def test_py_feat_opens_openface(run, tmp_path):
    reading = pytest.importorskip("feat.utils.io", reason="py-feat is not installed")
    exports.export(run, "openface", tmp_path / "openface.csv")
    fex = reading.read_openface(str(tmp_path / "openface.csv"))
    assert fex.detector == "OpenFace"
    assert fex.time["timestamp"].tolist() == pytest.approx(run.faces["time_s"].to_pylist(), abs=0.0005)


def test_deepface_lists_faces_frame_by_frame(run):
    frames = json.loads(text_of(run, "deepface"))
    assert [len(faces) for faces in frames] == [PERSONS] * (FRAMES - EMPTY) + [0] * EMPTY
    faces, rows = [face for faces in frames for face in faces], run.faces.to_pylist()
    for face, row in zip(faces, rows, strict=True):
        assert list(face) == ["emotion", "dominant_emotion", "region", "face_confidence", "frame", "time_s", "person"]
        assert list(face["emotion"]) == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
        assert list(face["region"]) == ["x", "y", "w", "h"]
        assert list(face["region"].values()) == pytest.approx([row["x1"], row["y1"], 50, 60], abs=0.5)
        assert face["face_confidence"] == pytest.approx(row["score"], abs=1e-4)
        assert (face["frame"], face["person"]) == (row["frame"], row["person"])
        if row["usable"]:
            assert sum(face["emotion"].values()) == pytest.approx(100, abs=0.1)
            assert face["emotion"]["sad"] == pytest.approx(100 * row["sad"], abs=0.001)
            assert face["dominant_emotion"] == row["expression"]
            assert face["emotion"][row["expression"]] == max(face["emotion"].values())
        else:
            assert face["dominant_emotion"] is None
            assert set(face["emotion"].values()) == {None}


def test_deepface_of_a_film_without_faces(tmp_path):
    run = make_moods(tmp_path, [(0, 0, None), (0, 0, None)])
    assert json.loads(text_of(run, "deepface")) == [[], []]


def test_mot_counts_analyzed_frames_and_pixels_from_one(run):
    lines = [line.split(",") for line in text_of(run, "mot").splitlines()]
    faces = run.faces.to_pylist()
    assert len(lines) == len(faces)
    for line, row in zip(lines, faces, strict=True):
        assert (int(line[0]), int(line[1])) == (row["frame"] // 6 + 1, row["person"])
        assert [float(text) for text in line[2:6]] == pytest.approx([row["x1"] + 1, row["y1"] + 1, 50, 60], abs=0.006)
        assert line[7:] == ["-1", "-1", "-1"]
    assert len({(line[0], line[1]) for line in lines}) == len(lines)


def test_mot_tools_read_it(run, tmp_path):
    motmetrics = pytest.importorskip("motmetrics", reason="motmetrics is not installed")
    exports.export(run, "mot", tmp_path / "tracks.txt")
    tracks = motmetrics.io.loadtxt(str(tmp_path / "tracks.txt"), fmt=motmetrics.io.Format.MOT15_2D)
    assert tracks.index.nunique() == len(run.faces)
    assert tracks["X"].tolist() == pytest.approx(run.faces["x1"].to_pylist(), abs=0.006)
    assert (tracks["Width"].round().tolist(), tracks.index[-1]) == ([50] * len(tracks), (FRAMES - EMPTY, PERSONS))


def cues_of(run: Run, **settings) -> list[tuple[float, float, str]]:
    captions = webvtt.from_buffer(io.BytesIO(text_of(run, "vtt", **settings).encode())).captions
    return [(seconds(cue.start_time), seconds(cue.end_time), cue.text) for cue in captions]


def seconds(time: webvtt.models.Timestamp) -> float:
    return time.hours * 3600 + time.minutes * 60 + time.seconds + time.milliseconds / 1000


def test_vtt_says_what_was_shown_and_merges_what_says_the_same(tmp_path):
    happy, sad = [(3, 2, "happy")] * 4, [(1, 1, "sad")] * 2
    run = make_moods(tmp_path, [*happy, *sad, (2, 0, None), (2, 0, None), (0, 0, None), (0, 0, None), (1, 0, None)])
    text = text_of(run, "vtt", every_s=2)
    assert text.startswith("WEBVTT\n\nNOTE\n")
    assert text.endswith("""
00:00:00.000 --> 00:00:04.000
happy 70 % · 3 faces (2 read)

00:00:04.000 --> 00:00:06.000
sad 70 % · 1 face (1 read)

00:00:06.000 --> 00:00:08.000
2 faces (none read)

00:00:08.000 --> 00:00:10.000
no faces

00:00:10.000 --> 00:00:11.000
1 face (none read)
""")


def test_vtt_has_the_means_and_times_of_the_tables(big):
    cues = cues_of(big, every_s=5)
    assert len(cues) > 100
    assert cues[0][0] == 0 and cues[-1][1] == pytest.approx(900, abs=0.001)
    assert all(start < end for start, end, _ in cues)
    assert all(before[1] == after[0] and before[2] != after[2] for before, after in pairwise(cues))
    for start, end, text in cues[:40]:
        faces = big.sql(f"FROM faces WHERE time_s >= {start} - 0.0005 AND time_s < {end} - 0.0005").to_pandas()
        mix = faces[faces.usable][list(EXPRESSIONS)].mean()
        frames = faces.frame.nunique()
        expected = f"{mix.idxmax()} {100 * mix.max():.0f} % · {len(faces) / frames:.0f} faces ({faces.usable.sum() / frames:.0f} read)"
        if end - start < 5.1:  # a merged cue says what each of its spans says
            assert text == expected


@pytest.mark.parametrize("name", ["a --> b.mp4", "two\nlines.mp4", "<i>&amp;.mp4", "NOTE\n\n00:01.000 --> 00:02.000\nx"])
def test_vtt_stays_valid_whatever_the_film_is_called(tmp_path, name):
    run = make_moods(tmp_path, [(1, 1, "happy")], recording=name)
    assert cues_of(run) == [(0, 0.2, "happy 70 % · 1 face (1 read)")]
    assert text_of(run, "vtt").count("-->") == 1


@pytest.mark.slow
@pytest.mark.skipif(browser.PROGRAM is None, reason="no Chromium")
def test_vtt_plays_in_a_browser(big, clip, tmp_path):
    vtt = text_of(big, "vtt")
    shutil.copy(clip, tmp_path / "film.mp4")
    (tmp_path / "page.html").write_text(f"""<video src="film.mp4" muted></video><script>
        const track = document.createElement("track");
        track.kind = "subtitles"; track.default = true;
        track.src = URL.createObjectURL(new Blob([{json.dumps(vtt)}], {{type: "text/vtt"}}));
        document.querySelector("video").append(track); track.track.mode = "showing";
        window.loaded = new Promise((good, bad) => {{ track.onload = good; track.onerror = bad; }});
    </script>""")
    with browser.Browser() as chromium:
        chromium.open(tmp_path / "page.html")
        assert chromium.call("Runtime.evaluate", expression="window.loaded.then(() => true)",
                             awaitPromise=True)["result"]["value"] is True
        seen = chromium.evaluate("Array.from(document.querySelector('video').textTracks[0].cues)"
                                 ".map(cue => [cue.startTime, cue.endTime, cue.text])")
    assert [tuple(cue) for cue in seen] == cues_of(big)


def test_a_run_that_is_not_complete_is_one_sentence(tmp_path):
    make_parts(tmp_path)
    with pytest.raises(ResultsError, match=f"^run {RUN} of concert.mp4 is not complete; "
                                           "`crowdmood analyze /films/concert.mp4` goes on with it$"):
        exports.export(Run(RUN, tmp_path), "csv", tmp_path / "faces.csv")
    assert not (tmp_path / "faces.csv").exists()


def test_what_was_there_stays_when_an_export_fails(tmp_path):
    make_run(tmp_path)
    (path := tmp_path / "faces.csv").write_text("mine")
    (tmp_path / "faces" / f"run={RUN}" / "faces.parquet").write_bytes(b"PAR1 broken PAR1")
    with pytest.raises(ResultsError):
        exports.export(Run(RUN, tmp_path), "csv", path)
    assert path.read_text() == "mine"
    assert sorted(tmp_path.glob(".faces*")) == []


def test_errors_are_one_sentence(run, tmp_path):
    with pytest.raises(ResultsError, match="no format is called 'xls'; known: csv, json, fex"):
        text_of(run, "xls")
    with pytest.raises(ResultsError, match="no table is called 'people'; known: faces"):
        text_of(run, "csv", table="people")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be written"):
        exports.export(run, "csv", tmp_path / "file" / "faces.csv")


def crowdmood_export(run: Run, *words: str) -> subprocess.CompletedProcess:
    return forked.crowdmood("export", RUN, "--results", run.results, *words)


def test_the_command_takes_the_format_from_the_files_name(run, tmp_path):
    for name, form in (("moods.vtt", "vtt"), ("faces.json", "json"), ("tracks.txt", "mot"), ("faces.csv", "csv")):
        ended = crowdmood_export(run, "-o", str(tmp_path / name))
        assert ended.returncode == 0, ended.stderr
        assert (tmp_path / name).read_text(encoding="utf-8") == text_of(run, form)
        assert ended.stdout == ""


def test_the_command_prints_and_says_what_is_left_out(run):
    ended = crowdmood_export(run, "--format", "openface")
    assert ended.returncode == 0
    assert ended.stdout == text_of(run, "openface")
    assert ended.stderr == "landmarks, gaze, head pose and action units are not measured and left out\n"
    assert crowdmood_export(run, "--table", "persons").stdout == text_of(run, "csv", table="persons")
    assert crowdmood_export(run, "--format", "vtt", "--every", "1").stdout == text_of(run, "vtt", every_s=1)


@pytest.mark.parametrize("words", [("--format", "vtt", "--table", "frames"), ("--every", "2"), ("--format", "xls")])
def test_options_that_do_not_fit_are_usage_errors(run, words):
    ended = crowdmood_export(run, *words)
    assert ended.returncode == 2
    assert "Error" in ended.stderr


def test_a_reader_that_has_enough_ends_it(big):
    script = f"{sys.executable} -m crowdmood export {BIG} --results {big.results} --format csv | head -2"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines()[0].startswith("run,frame,pts")
    assert ended.stderr == ""


def test_arrow_reads_the_csv_back(run, tmp_path):
    from pyarrow import csv as arrow_csv

    exports.export(run, "csv", tmp_path / "faces.csv")
    read = arrow_csv.read_csv(tmp_path / "faces.csv")
    assert read["happy"].cast(pa.float32()).to_pylist() == run.faces["happy"].to_pylist()
    assert read["usable"].to_pylist() == run.faces["usable"].to_pylist()


def test_the_command_is_listed():
    assert "export" in crowdmood.list_commands(None)
