"""Photos: read whatever they are, kept as a run, ranked, shown and copied."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from crowdmood import tables
from crowdmood.albums import MOST_PAGES, find_photos, open_album
from crowdmood.catalog import fetch
from crowdmood.cli.photos import photos as command
from crowdmood.comparison import compare_runs
from crowdmood.erasure import erase
from crowdmood.errors import CrowdmoodError, ResultsError, VideoError
from crowdmood.options import Execution, Options
from crowdmood.photos.copies import copy_best
from crowdmood.photos.cover import cut_to
from crowdmood.photos.eyes import detect_each
from crowdmood.photos.ranking import left_out, rank
from crowdmood.photos.runs import USUAL, analyze_photos
from crowdmood.photos.show import show_photo, write_annotated
from crowdmood.report import build_report
from crowdmood.results import Run
from crowdmood.row_groups import write_table
from crowdmood.runtimes import choose_device
from crowdmood.scan import open_eyes
from crowdmood.video import look_at_photo, read_photo
from tests.photo_files import (
    CORNERS,
    RUN,
    cornered,
    corners_of,
    invented,
    make_album,
    photograph,
    png_bomb,
)

ONE = Execution(threads=1)
KINDS = {
    "plain.jpg": lambda image, path: image.save(path, quality=95),
    "cmyk.jpg": lambda image, path: image.convert("CMYK").save(path, quality=95),
    "plain.png": lambda image, path: image.save(path),
    "palette.png": lambda image, path: image.quantize(16).save(path),
    "alpha.webp": lambda image, path: image.convert("RGBA").save(path, lossless=True),
    "plain.webp": lambda image, path: image.save(path, lossless=True),
    "plain.avif": lambda image, path: image.save(path, quality=95),
    "plain.gif": lambda image, path: image.save(path),
    "plain.tif": lambda image, path: image.save(path),
    "plain.bmp": lambda image, path: image.save(path),
}


@pytest.mark.parametrize("name", KINDS)
def test_formats_are_read_in_their_colours(tmp_path, name):
    KINDS[name](cornered(), tmp_path / name)
    facts, image = look_at_photo(tmp_path / name), read_photo(tmp_path / name)
    assert (facts.width, facts.height, facts.pages) == (120, 80, 1)
    assert image.shape == (80, 120, 3) and image.dtype == np.uint8
    assert np.abs(corners_of(image) - CORNERS).max() < 12


def test_heic_is_read(tmp_path):
    pytest.importorskip("pillow_heif").from_pillow(cornered()).save(tmp_path / "plain.heic", quality=95)
    assert look_at_photo(tmp_path / "plain.heic").format == "HEIF"
    assert np.abs(corners_of(read_photo(tmp_path / "plain.heic")) - CORNERS).max() < 20


def test_heic_without_its_package_says_what_to_install(tmp_path):
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    code = ("import sys; sys.modules['pillow_heif'] = None\nfrom pathlib import Path\nfrom crowdmood.video.photo_reader import picture\n"
            f"picture(Path({str(tmp_path / 'photo.heic')!r}), 0)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert "photo.heic: HEIC photos need one more package: pip install 'crowdmood[heic]'" in done.stderr


def test_deep_and_grey_pictures_are_scaled_not_cut(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (40, 1))
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.fromarray(ramp).save(tmp_path / "deep.tif")
    Image.fromarray((ramp / 65535).astype(np.float32)).save(tmp_path / "float.tif")
    Image.fromarray((ramp >> 8).astype(np.uint8)).save(tmp_path / "grey.png")
    for name in ("deep.png", "deep.tif", "float.tif", "grey.png"):
        image = read_photo(tmp_path / name)
        assert image.shape == (40, 256, 3)
        assert np.abs(image[20, :, 0] - np.arange(256)).max() <= 1, name


def test_transparent_parts_are_white(tmp_path):
    image = cornered().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 60, 40))
    image.save(tmp_path / "half.png")
    image.convert("LA").save(tmp_path / "grey.png")
    for name in ("half.png", "grey.png"):
        assert corners_of(read_photo(tmp_path / name))[0, 0].tolist() == [255, 255, 255]
    assert np.abs(corners_of(read_photo(tmp_path / "half.png"))[1, 1] - CORNERS[1, 1]).max() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    undo = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}
    stored = cornered().transpose(undo[orientation]) if orientation > 1 else cornered()
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x9003] = "2026:05:01 14:30:00"
    stored.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    facts = look_at_photo(tmp_path / "turned.jpg")
    assert (facts.width, facts.height, facts.taken) == (120, 80, "2026-05-01T14:30:00")
    assert np.abs(corners_of(read_photo(tmp_path / "turned.jpg")) - CORNERS).max() < 12


def test_real_portraits_of_every_orientation_stand_upright(media):
    images = [read_photo(media / "photos" / f"e28_exif_portrait_{number}.jpg") for number in (1, 3, 6, 8)]
    assert {image.shape for image in images} == {(1800, 1200, 3)}
    for image in images[1:]:  # they differ by a digit
        assert np.abs(image.astype(int) - images[0]).mean() < 5


def test_frames_of_an_animation_are_photos_up_to_a_limit(tmp_path):
    frames = [Image.new("RGB", (16, 16), (4 * number, 0, 0)) for number in range(60)]
    frames[0].save(tmp_path / "long.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "short.webp", save_all=True, append_images=frames[1:3], lossless=True)
    album = open_album([tmp_path], threads=2)
    pages = [photo.page for photo in album.photos if photo.file == "long.gif"]
    assert len(pages) == MOST_PAGES and pages[0] == 0 and pages[-1] == 59
    assert [photo.page for photo in album.photos if photo.file == "short.webp"] == [0, 1, 2]
    assert [int(read_photo(tmp_path / "short.webp", page)[0, 0, 0]) for page in (2, 0, 1)] == [8, 0, 4]


def test_large_photos_are_read_smaller_and_told_as_they_are(tmp_path):
    cornered(4000, 2000).save(tmp_path / "large.jpg")
    cornered(16000, 400).save(tmp_path / "wide.png")
    assert (look_at_photo(tmp_path / "large.jpg").width, read_photo(tmp_path / "large.jpg").shape) == (4000, (1000, 2000, 3))
    assert (look_at_photo(tmp_path / "wide.png").width, read_photo(tmp_path / "wide.png").shape) == (16000, (50, 2000, 3))
    assert np.abs(corners_of(read_photo(tmp_path / "wide.png")) - CORNERS).max() < 3


def test_what_cannot_be_read_is_one_sentence(tmp_path, clip):
    cornered(800, 600).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:2500])
    png_bomb(tmp_path / "bomb.png")
    (tmp_path / "text.jpg").write_text("nothing to see")
    (tmp_path / "page.jpg").write_text("<!DOCTYPE html><html>")
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    shutil.copy(clip, tmp_path / "film.jpg")
    said = {"cut.jpg": "damaged or cut short", "bomb.png": "60000 x 60000 is too large", "text.jpg": "no picture of a kind that can be read",
            "page.jpg": "a web page", "empty.png": "empty (0 bytes)", "pipe.jpg": "not a regular file", "film.jpg": "a video, not a photo",
            "gone.jpg": "no such file"}
    for name, words in said.items():
        with pytest.raises(VideoError, match=re.escape(words)) as told:
            read_photo(tmp_path / name)
        assert name in str(told.value) and "\n" not in str(told.value)


def test_real_damage_is_one_sentence(media):
    with pytest.raises(VideoError, match="damaged or cut short"):
        look_at_photo(media / "photos" / "e30_corrupted.heic")


def test_albums_are_searched_through_and_keep_their_names(tmp_path):
    make_album(tmp_path / "album")
    shutil.copy(tmp_path / "album" / "b hopper.jpg", tmp_path / "album" / ".hidden.jpg")
    (tmp_path / "album" / "loop").symlink_to(tmp_path / "album")
    odd = os.fsdecode(b"bad\xff\nname.JPG")
    shutil.copy(tmp_path / "album" / "b hopper.jpg", tmp_path / "album" / odd)
    album = open_album([tmp_path / "album"], threads=2)
    assert [photo.file for photo in album.photos] == ["b hopper.jpg", "bad\\xff\nname.JPG", "cut.jpg", "empty.jpg",
                                                      "in/pair.png", "in/there/<b>large & é.jpg", "plain.gif", "plain.gif"]
    assert album.name == "album" and album.photos[3].error and album.photos[1].facts.format == "JPEG"
    again = open_album([tmp_path / "album" / "in", tmp_path / "album"], threads=1)
    assert (again.digest, again.folder) == (album.digest, album.folder)
    (tmp_path / "album" / "empty.jpg").write_bytes(b"x")
    assert open_album([tmp_path / "album"], threads=1).digest != album.digest


def test_sources_without_photos_say_so(tmp_path):
    for source, words in (("nowhere", "no such folder or file"), ("s3://bucket/photos", "local folders"), (str(tmp_path), "no photos are in")):
        with pytest.raises(VideoError, match=words):
            find_photos([source])


def test_faces_do_not_depend_on_the_other_photos_of_a_batch():
    eyes = open_eyes(USUAL, choose_device("cpu", threads=1))
    images = [np.asarray(photograph("hopper")), np.asarray(photograph("pair")), np.zeros((30, 40, 3), np.uint8)]
    together = detect_each(images, eyes.detector, eyes.detect)
    assert together.frame.tolist() == [0, 1, 1]
    for row, image in enumerate(images):
        alone = detect_each([image], eyes.detector, eyes.detect)
        np.testing.assert_array_equal(together.box[together.frame == row], alone.box)
    assert (together.box >= 0).all() and (together.box[1:, 2] <= images[1].shape[1]).all()


@pytest.fixture(scope="module")
def ranked(once) -> Path:
    """A folder with `album` and `results`, analyzed; to be copied before it is changed."""

    def make(folder: Path) -> None:
        make_album(folder / "album")
        analyze_photos([folder / "album"], USUAL, ONE, folder / "results")

    return once("photos", make)


def only_run(results: Path) -> Run:
    return Run(fetch(results, "SELECT run FROM runs ORDER BY started DESC").column(0)[0].as_py(), results)


def test_a_folder_is_a_run_and_a_photo_is_a_frame(ranked):
    run = only_run(ranked / "results")
    rows = run.sql("SELECT file, page, width, error, frames.faces, frames.persons, cut FROM photos LEFT JOIN frames USING (frame) "
                   "ORDER BY photos.frame").to_pylist()
    assert [row["file"] for row in rows] == ["b hopper.jpg", "cut.jpg", "empty.jpg", "in/pair.png", "in/there/<b>large & é.jpg",
                                             "plain.gif", "plain.gif"]
    assert [row["faces"] for row in rows] == [1, None, None, 2, 1, 0, 1]
    assert [row["error"] is None for row in rows] == [True, False, False, True, True, True, True]
    info = run.info
    assert (info["layout"], info["status"], info["faces"], info["persons"]) == ("photos", "complete", 5, 5)
    assert (info["frames_promised"], info["frames_analyzed"], info["recording"]) == (7, 5, "album")
    assert run.sql("SELECT count(DISTINCT person), count(DISTINCT track) FROM faces").to_pylist()[0] == {
        "count(DISTINCT person)": 5, "count(DISTINCT track)": 5}
    assert tables.is_whole(tables.table_path(ranked / "results", "photos", run.id))


def test_boxes_are_in_the_photos_own_pixels(ranked):
    faces = only_run(ranked / "results").sql("SELECT frame, x1, y1, x2, y2 FROM faces WHERE frame IN (0, 4) ORDER BY frame").to_pylist()
    small, large = (np.array([face[side] for side in ("x1", "y1", "x2", "y2")]) for face in faces)
    sides = np.array([4096, 2784] * 2), np.array(read_photo(ranked / "album" / "b hopper.jpg").shape[1::-1] * 2)
    np.testing.assert_allclose(large / sides[0], small / sides[1], atol=0.03)


def test_asked_again_nothing_is_read(ranked, tmp_path):
    shutil.copytree(ranked, tmp_path, dirs_exist_ok=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").glob("*/run=*")}
    steps = []
    analyze_photos([tmp_path / "album"], USUAL, ONE, tmp_path / "results", lambda step, *_: steps.append(step))
    assert set(steps) == {"look"}
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_of_a_changed_folder_only_what_is_new_is_read(ranked, tmp_path):
    shutil.copytree(ranked, tmp_path, dirs_exist_ok=True)
    first = only_run(tmp_path / "results")
    path = tables.table_path(tmp_path / "results", "faces", first.id)  # marked, so that it shows where rows come from
    faces = pq.read_table(path)
    marked = faces.set_column(faces.schema.get_field_index("sharpness"), faces.schema.field("sharpness"), pa.array([12345.0] * len(faces), pa.float32()))
    write_table(path, tables.FACES, [marked])
    (tmp_path / "album" / "in" / "pair.png").rename(tmp_path / "album" / "a pair.png")
    (tmp_path / "album" / "b hopper.jpg").unlink()
    photograph("pair", 400).save(tmp_path / "album" / "new.jpg")
    run, _ = analyze_photos([tmp_path / "album"], USUAL, ONE, tmp_path / "results")
    rows = run.sql("SELECT file, count(*) FILTER (sharpness = 12345) AS taken, count(*) AS faces FROM photos JOIN faces USING (frame) "
                   "GROUP BY file ORDER BY file").to_pylist()
    assert rows == [{"file": "a pair.png", "taken": 2, "faces": 2}, {"file": "in/there/<b>large & é.jpg", "taken": 1, "faces": 1},
                    {"file": "new.jpg", "taken": 0, "faces": 2}, {"file": "plain.gif", "taken": 1, "faces": 1}]
    assert run.id != first.id and first.info["status"] == "complete"
    other, _ = analyze_photos([tmp_path / "album"], Options(sample_fps=None, meeting="off", min_face=13), ONE, tmp_path / "results")
    assert other.sql("SELECT count(*) AS n FROM faces WHERE sharpness = 12345").to_pylist() == [{"n": 0}]


def test_a_killed_run_goes_on(tmp_path):
    (tmp_path / "album").mkdir()
    for number in range(110):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / "album" / f"{number:03}.png")
    results = tmp_path / "results"
    process = subprocess.Popen([sys.executable, "-m", "crowdmood", "photos", "rank", tmp_path / "album", "--results", results, "--threads", "1"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not list(results.glob("faces/run=*/part-000000.parquet")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (row,) = fetch(results, "SELECT run, status FROM runs").to_pylist()
    kept = 64 * len(tables.parts_done(results, row["run"]))
    assert row["status"] == "running" and kept in (64, 128)
    steps = []
    run, _ = analyze_photos([tmp_path / "album"], USUAL, ONE, results, lambda *step: steps.append(step))
    assert next(step for step in steps if step[0] == "scan") == ("scan", min(kept, 110), 110)
    assert (run.id, run.info["status"], run.info["frames_analyzed"]) == (row["run"], "complete", 110)
    assert not list(results.glob("*/run=*/part-*"))


def test_less_sadness_breaks_ties_of_happiness(tmp_path):
    invented(tmp_path, [[{"happy": 0.701, "sad": 0.2}], [{"happy": 0.699, "sad": 0.1}], [{"happy": 0.9}], [{"happy": 0.1, "sad": 0.8}]])
    run = Run(RUN, tmp_path)
    assert [row["file"] for row in rank(run)] == ["2.jpg", "1.jpg", "0.jpg", "3.jpg"]
    assert next(row["file"] for row in rank(run, "sad")) == "3.jpg"
    assert [row["place"] for row in rank(run)] == [1, 2, 3, 4]
    assert rank(run, "positivity")[-1]["score"] == pytest.approx(-0.7, abs=0.01)
    with pytest.raises(CrowdmoodError, match="'angry'; known: happy, sad, surprise, positivity"):
        rank(run, "angry")


def test_a_group_is_as_good_as_its_mean_and_its_worst(tmp_path):
    invented(tmp_path, [
        [{"happy": 1.0}] * 3,
        [{"happy": 1.0}, {"happy": 1.0}, {"happy": 0.4}],
        [{"happy": 1.0}, {"happy": 1.0}, {"happy": 1.0, "usable": False}],
        [{"happy": 1.0}, {"happy": 1.0}, {"happy": 1.0, "score": 0.42}],
        [{"happy": 1.0}, {"happy": 1.0}, {"happy": 0.0, "size_px": 20.0}],
        [{"happy": 1.0}],
        [{"happy": 1.0}, {"happy": 1.0}, {"happy": 1.0, "sharpness": 150.0}],
    ])
    run = Run(RUN, tmp_path)
    found = {row["file"]: row for row in rank(run, group=True)}
    assert [found[f"{at}.jpg"]["score"] for at in (0, 1, 2, 3, 4, 6)] == pytest.approx([1, 0.6, 1 / 3, (0.6 + 2.6 / 3) / 2, 1, (0.5 + 2.5 / 3) / 2], abs=1e-3)
    assert found["2.jpg"]["uncertain"] == 1 and found["4.jpg"]["background"] == 1 and found["3.jpg"]["unclear"] == 1
    assert "5.jpg" not in found and left_out(run, list(found.values()))[0]["reason"] == "there are not two faces in it"
    alone = {row["file"]: row["score"] for row in rank(run)}
    assert alone["2.jpg"] == alone["4.jpg"] == alone["5.jpg"] == pytest.approx(1)


def test_the_same_picture_counts_once_and_of_an_animation_its_best_frame(tmp_path):
    invented(tmp_path, [[{"happy": 0.9}], [{"happy": 0.2}], [{"happy": 0.8}], [], [{"happy": 0.9, "usable": False}], [{"happy": 0.9}]],
             file=["a.jpg", "b.gif", "b.gif", "empty.jpg", "blurred.jpg", "z copy of a.jpg"], page=[0, 0, 1, 0, 0, 0], digest=list("abbxya"))
    run = Run(RUN, tmp_path)
    found = rank(run)
    assert [(row["file"], row["page"]) for row in found] == [("a.jpg", 0), ("b.gif", 1)]
    assert {row["file"]: row["reason"] for row in left_out(run, found)} == {
        "empty.jpg": "no face was found", "blurred.jpg": "no face is clear enough to be read", "z copy of a.jpg": "it is the same picture as another"}


def test_copies_never_take_the_place_of_other_files(tmp_path):
    for name, content in (("one.jpg", b"1"), ("two.jpg", b"2")):
        (tmp_path / name).write_bytes(content)
    best = tmp_path / "best"
    best.mkdir()
    (best / "1-one.jpg").write_bytes(b"mine")
    (best / "2-two.jpg").symlink_to(tmp_path / "nowhere")
    names = [path.name for path in copy_best([tmp_path / "one.jpg", tmp_path / "two.jpg"], best)]
    assert names == ["1-one-2.jpg", "2-two-2.jpg"] and (best / "1-one.jpg").read_bytes() == b"mine"
    assert [path.name for path in copy_best([tmp_path / "one.jpg", tmp_path / "two.jpg"], best)] == names
    assert (best / "1-one-2.jpg").read_bytes() == b"1" and len(list(best.iterdir())) == 4
    assert copy_best([tmp_path / "one.jpg"] * 10, tmp_path / "ten")[0].name == "01-one.jpg"


def test_rank_on_the_command_line(ranked, tmp_path):
    shutil.copytree(ranked, tmp_path, dirs_exist_ok=True)
    asked = ["rank", str(tmp_path / "album"), "--results", str(tmp_path / "results"), "--threads", "1", "--copy-to", str(tmp_path / "best")]
    done = CliRunner().invoke(command, [*asked, "--json", "--top", "2"])
    found = json.loads(done.stdout)
    assert done.exit_code == 3 and done.stderr.count("crowdmood: ") == 2 and "empty.jpg: the file is empty" in done.stderr
    assert len(found["ranked"]) == 4 and found["ranked"][0]["happy"] >= found["ranked"][1]["happy"] - 0.01
    assert {row["file"]: row["error"] for row in found["left_out"]} == {"cut.jpg": True, "empty.jpg": True}
    page = Path(found["page"]).read_text()
    assert "<b>large" not in page and "&lt;b&gt;large" in page and page.count("data:image/jpeg") == 2
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page) and "://" not in page
    with Image.open(found["sheet"]) as sheet:
        assert sheet.format == "PNG" and sheet.width == 1600
    assert len(found["copies"]) == 2 and all(Path(copy).is_file() for copy in found["copies"])
    done = CliRunner().invoke(command, [*asked, "--by", "surprise", "--html", str(tmp_path / "x.html"), "--sheet", str(tmp_path / "y.png")])
    assert "4 photos ranked, 0 not" in done.stdout and (tmp_path / "x.html").is_file() and (tmp_path / "y.png").is_file()


def test_show_tells_between_the_named_expressions(ranked, tmp_path):
    path = ranked / "album" / "in" / "pair.png"
    whole, some = show_photo(path, (), USUAL, ONE), show_photo(path, ("happy", "sad"), USUAL, ONE)
    assert whole.probability.shape == (2, 7) and some.probability.shape == (2, 2)
    np.testing.assert_allclose(some.probability.sum(axis=1), 1, atol=1e-5)
    picked = whole.probability[:, [3, 4]]
    assert whole.labels[3:5] == ("happy", "sad")
    np.testing.assert_allclose(some.probability, picked / picked.sum(axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(some.part, picked.sum(axis=1), atol=1e-6)
    write_annotated(whole, tmp_path / "out.png")
    drawn = np.asarray(Image.open(tmp_path / "out.png")) != whole.image
    assert 0.001 < drawn.mean() < 0.2
    for labels, words in ((("happy",), "two or more"), (("happy", "happy"), "different"), (("happy", "joy"), "'joy' is no expression")):
        with pytest.raises(CrowdmoodError, match=words):
            show_photo(path, labels, USUAL, ONE)


def test_show_on_the_command_line(ranked, tmp_path):
    path = str(ranked / "album" / "in" / "pair.png")
    done = CliRunner().invoke(command, ["show", path, "--json", "--labels", "happy, sad", "--threads", "1", "--out", str(tmp_path / "out.jpg")])
    found = json.loads(done.stdout)
    assert [sorted(face["probability"]) for face in found["faces"]] == [["happy", "sad"]] * 2 and (tmp_path / "out.jpg").is_file()
    done = CliRunner().invoke(command, ["show", path, "--out", "out.gif"])
    assert isinstance(done.exception, CrowdmoodError) and "ends with .jpg or .png" in str(done.exception)


def test_the_report_of_a_run_of_photos_is_the_page_of_its_best(ranked, tmp_path):
    shutil.copytree(ranked / "results", tmp_path / "results")
    run = only_run(tmp_path / "results")
    index = build_report(run)
    page = index.read_text()
    assert index == run.report and "The 4 happiest photos" in page and page.count("data:image/jpeg") == 4 and "no longer where" not in page
    with Image.open(index.with_name("sheet.png")) as sheet:
        assert sheet.width == 1600
    (tmp_path / "moved").mkdir()
    shutil.copy(ranked / "album" / "b hopper.jpg", tmp_path / "moved")
    photograph("pair", 200).save(tmp_path / "moved" / "plain.gif")  # another picture under a known name
    page = build_report(run, video=tmp_path / "moved").read_text()
    assert page.count("data:image/jpeg") == 1 and page.count("no longer where it was</p>") == 3 and "3 of these photos are" in page
    with pytest.raises(VideoError, match="has none of the photos"):
        build_report(run, video=tmp_path / "results")
    with pytest.raises(ResultsError, match="have no time"):
        build_report(run, segments=[{"name": "song", "start_s": 0.0, "end_s": 1.0}])
    erase(run, [1])
    page = index.read_text()
    assert "data:image/jpeg" not in page and "Persons were erased" in page and run.info["faces"] == 4 and "The 3 happiest photos" in page
    with pytest.raises(ResultsError, match="is of photos"):
        compare_runs([run, Run("0" * 12, tmp_path / "results")])


def test_a_cover_is_square_and_cut_around_the_faces(ranked, tmp_path):
    found = json.loads(CliRunner().invoke(command, ["rank", str(ranked / "album"), "--results", str(tmp_path / "results"), "--threads", "1", "--json",
                                                    "--cover", str(tmp_path / "cover.png")]).stdout)
    with Image.open(tmp_path / "cover.png") as cover:
        assert cover.size == (1600, 1600) and found["cover"] == str(tmp_path / "cover.png")
    image = np.zeros((400, 1000, 3), np.uint8)
    image[100:200, 850:950] = 255
    square = cut_to(image, np.array([[850.0, 100, 950, 200]]), (200, 200))
    assert square.shape == (200, 200, 3) and square[:, 100:].max() > 250  # the face is in it, though at the edge
    assert cut_to(image, np.array([[0.0, 0, 1000, 400]]), (200, 200)).max() < 5  # the middle of what spans all
    done = CliRunner().invoke(command, ["rank", str(ranked / "album"), "--cover", "cover.gif"])
    assert "ends with .jpg or .png" in str(done.exception)


def test_other_commands_say_that_a_run_is_of_photos(ranked):
    from crowdmood.stills import recording_of

    with pytest.raises(VideoError, match="is of photos, not of a recording"):
        recording_of(only_run(ranked / "results").info)


@pytest.mark.slow
def test_real_photos_are_ranked_as_a_viewer_would(media, tmp_path):
    run, _ = analyze_photos([media / "photos"], USUAL, ONE, tmp_path)
    faces = {row["file"][:3]: row["faces"] for row in run.sql("SELECT file, faces FROM photos JOIN frames USING (frame)").to_pylist()}
    assert [faces[name] for name in ("e01", "e02", "e03", "e05", "e10", "e11", "e15", "e20", "e24", "e25", "e28")] == [6, 4, 3, 1, 7, 2, 3, 5, 15, 29, 0]
    happy = [row["file"] for row in rank(run)]
    everybody_smiles = {"e01_az_faces.jpg", "e02_az_identification1.jpg", "e05_az_detection1.jpg", "e11_dlib_2008_001009.jpg",
                        "e26_vm_emotions_a7.jpg", "e26_vm_emotions_b4.jpg"}
    assert set(happy[:6]) == everybody_smiles
    groups = [row["file"][:3] for row in rank(run, group=True)]
    assert set(groups[:3]) == {"e01", "e02", "e11"} and groups[-1] == "e25"
    assert {row["file"] for row in rank(run, "surprise")[:2]} == {"e26_vm_emotions_b5.jpg", "e26_vm_emotions_b6.jpg"}
    assert [row["file"] for row in left_out(run, rank(run)) if row["error"]] == ["e30_corrupted.heic"]
