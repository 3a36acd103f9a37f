"""Names: whether two are one, files of names, and name bars read from the picture."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crowdmood.errors import CrowdmoodError
from crowdmood.speech.name_lists import check_names, likeness, likest, read_names
from crowdmood.video import probe
from tests.meetings import Spec, make


@pytest.mark.parametrize(("one", "other"), [
    ("Anders Nilsson", "Anders Nilsson (he/him)"), ("Anders Nilsson", "ANDERS  nilsson"), ("José", "José"), ("O’Neil", "O'Neil"),
    ("Anders's iPad (2)", "Anders'siPad (2)"), ("Ana (Host, me)", "Ana"), ("Ｂｏ", "bo")])
def test_the_same_name_in_other_letters(one, other):
    assert likeness(one, other) == likeness(other, one) == 1


@pytest.mark.parametrize(("one", "other"), [
    ("Anders Nilsson", "Anders Nllsson"), ("Christopher Lo...", "Christopher Longname"), ("Christopher L…", "Christopher Longname"),
    ("Paula Merten (Wings)", "Paula Merten"), ("Björn Lund", "Biorn Lund"), ("OTTER", "OTTR")])
def test_names_that_are_nearly_one(one, other):
    assert likest(one, [other, "Somebody Else"]) == other and likest(other, [one, "Somebody Else"]) == one


@pytest.mark.parametrize(("one", "other"), [
    ("Anders's iPad", "Anders's iPad (2)"), ("Guest 1", "Guest 2"), ("Ana", "Anna Berg"), ("", ""), ("...", "Ana"), ("Bo", "Mo"), ("Otto", "OTTER")])
def test_names_that_are_two(one, other):
    assert likest(one, [other]) is None and likest(other, [one]) is None


def test_between_two_that_are_alike_nobody_decides():
    assert likest("Anna Berg", ["Anna Bergs", "Anna Bergt"]) is None and likest("Anna Berg", ["Anna Bergs", "Anna Berg"]) == "Anna Berg"
    assert likest("Anna Berg", []) is None


@pytest.mark.parametrize("text", [
    "number,name\n1,Ana\n3,Bo\n", "name;number\r\nAna;1\r\nBo;3\r\n", "\ufeffPerson\tName\n1\tAna\n3\tBo\n4\t\n", "1,Ana\n3,Bo\n",
    '"number","name","note"\n\n1,Ana,x\n3,"Bo",\n'])
def test_a_file_of_names_by_number(tmp_path, text):
    (tmp_path / "names.csv").write_text(text, encoding="utf-8")
    given = read_names(tmp_path / "names.csv")
    assert given.numbers == {1: "Ana", 3: "Bo"} and not given.labels and not given.listed


def test_a_file_of_names_by_label_and_a_list_of_participants(tmp_path):
    (tmp_path / "names.csv").write_text("label,name\nAna's iPad (2),Ana Ruiz\n")
    assert read_names(tmp_path / "names.csv").labels == {"Ana's iPad (2)": "Ana Ruiz"}
    (tmp_path / "names.csv").write_text("Meeting ID,Topic\n1,x\n\nName (Original Name),User Email\nAna (x),a@b\nBo,\n")
    assert read_names(tmp_path / "names.csv").listed == ["Ana", "Bo"]


@pytest.mark.parametrize(("text", "told"), [
    ("", "must have the columns number,name"), ("what,ever\n1,2\n", "must have the columns number,name"), ("number,name\nx,Ana\n", "'x' in .* is no number"),
    ("number,name\n0,Ana\n", "'0' in .* is no number"), ("number,name\n1\n", "line 2 of .* has too few columns"),
    ("number,name\n1,Ana\n1,Bo\n", "'1' is twice in"), (None, "cannot be read: No such file")])
def test_a_wrong_file_of_names(tmp_path, text, told):
    if text is not None:
        (tmp_path / "names.csv").write_text(text)
    with pytest.raises(CrowdmoodError, match=told) as error:
        check_names(str(tmp_path / "names.csv"))
    assert "\n" not in str(error.value)


def test_without_the_extra_one_sentence_says_how_to_get_it(tmp_path):
    (tmp_path / "by_label.csv").write_text("label,name\nAna,Ana Ruiz\n")
    (tmp_path / "by_number.csv").write_text("number,name\n1,Ana Ruiz\n")
    code = ("import sys; sys.modules['rapidocr'] = None\nfrom crowdmood.speech.name_lists import check_names\nfrom crowdmood.errors import CrowdmoodError\n"
            "for names in sys.argv[1:]:\n    try:\n        print(check_names(names))\n    except CrowdmoodError as error:\n        print(error)\n")
    told = subprocess.run([sys.executable, "-c", code, "none", str(tmp_path / "by_number.csv"), "labels", str(tmp_path / "by_label.csv")],
                          capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[:2] == ["None", "None"] and told[2] == told[3] and "pip install 'crowdmood[ocr]'" in told[2]


@pytest.fixture(scope="module")
def labels():
    """The module that reads names; tests that need it are left out where the extra is not installed."""
    pytest.importorskip("rapidocr", reason="the extra 'ocr' is not installed")
    import crowdmood.speech.name_labels

    return crowdmood.speech.name_labels


def tile(segment: int, span: tuple[float, float], box: tuple[float, ...], person: int | None) -> dict:
    return {"segment": segment, "start_s": span[0], "end_s": span[1], "person": person} | dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))


def test_the_names_of_a_real_gallery(labels, media):
    film = media / "meeting" / "b01_zoom_gallery_2x2.mp4"
    if not film.is_file():
        pytest.skip(f"{film} is not there")
    recording = probe(film)
    seen = json.loads((media / "notes.json").read_text())["meeting/b01_zoom_gallery_2x2.mp4"]["seen"]
    noted = re.findall(r'-(?:left|right) "([^"]+)"', seen)  # row by row, as a person read them
    corners = [(x, y) for y in (0, 180) for x in (0, 320)]
    rows = [tile(1, (0.0, float(recording.time[-1])), (x, y, x + 320, y + 180), person) for person, (x, y) in enumerate(corners, 1)]
    assert labels.read_labels(recording, rows) == dict(enumerate(noted, 1)) and len(noted) == 4


def test_the_names_of_a_generated_gallery(labels, tmp_path):
    """Each person by all tiles they were in; whoever has none, or whose tile shows no name, has no name."""
    made = make(Spec(seed=11, people=6, seconds=4, fps=2, size=(1280, 720), events=1, off=0, mute_marks=True), tmp_path)
    names = made.truth.names
    rows = [tile(number, (segment.start_s, segment.end_s), one.box, one.who + 1) for number, segment in enumerate(made.truth.segments, 1)
            for one in segment.tiles]
    nameless = tile(1, (0.0, 4.0), (500, 0, 620, 60), 99)
    read = labels.read_labels(probe(made.video), [*rows, nameless, tile(1, (0.0, 4.0), (0, 0, 1280, 720), None)], known=names)
    assert read == {person: names[person - 1] for person in {row["person"] for row in rows}}


def test_only_as_many_pictures_are_looked_at_as_are_needed(labels):
    spans = [(0.0, 60.0), (60.0, 61.0), (61.0, 300.0), (300.0, 301.0)]
    rows = [tile(number, span, (0, 0, 9, 9 * (1 + (number == 3))), person) for number, span in enumerate(spans, 1) for person in range(1, 50)]
    wanted = labels._wanted(rows, np.arange(0, 301, 0.2))
    assert len(wanted) <= 4 and all({row["person"] for row in there} == set(range(1, 50)) for there in wanted.values())
    assert {row["segment"] for there in wanted.values() for row in there} == {3}, "where tiles are largest"


def test_reading_needs_no_network(labels, tmp_path):
    """In a process that can reach nothing: a connection ends it."""
    code = ("import sys\nsys.addaudithook(lambda event, args: event in ('socket.connect', 'socket.getaddrinfo') and sys.exit(f'network: {args}'))\n"
            "import numpy as np\nfrom crowdmood.speech.name_labels import reader\nread = reader()\n"
            "print(read(np.zeros((90, 160, 3), np.uint8), (0, 0, 160, 90)))\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert done.stdout.strip() == "[]", done.stderr
