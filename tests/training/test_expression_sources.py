"""Labelled faces as people have them: CSV files, folders of pictures, tables; and who is on which side of a split."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crowdmood.errors import CrowdmoodError
from crowdmood.labels import EXPRESSIONS
from crowdmood.training.expression_data import of_labels, read_faces, said_labels
from crowdmood.training.expression_sources import OTHER_VOTES, PLUS, VOTES
from crowdmood.training.expression_splits import fill_splits, folds, groups, places
from tests.drawn_faces import draw, table_row, write_table


def pictures(count: int, side: int = 48) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [cv2.resize(draw(at % 7, rng), (side, side)) for at in range(count)]


def write_csv(path: Path, head: list[str], rows: list[list]) -> Path:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def pixels(picture: np.ndarray) -> str:
    return " ".join(map(str, picture.ravel()))


USAGE = ["Training"] * 5 + ["PublicTest", "PrivateTest"]


@pytest.fixture
def fer(tmp_path) -> Path:
    """Seven rows as FER2013 has them, one of each label."""
    rows = [[kind, pixels(one), use] for kind, (one, use) in enumerate(zip(pictures(7), USAGE, strict=True))]
    return write_csv(tmp_path / "fer2013.csv", ["emotion", "pixels", "Usage"], rows)


def plus(path: Path, usage: list[str], **first: int) -> Path:
    """Votes of FERPlus: ten for the label, but in the first row those given."""
    names = (*VOTES, *OTHER_VOTES)
    counts = [{VOTES[at]: 10} for at in range(len(usage))]
    counts[0] = first
    return write_csv(path, ["Usage", "Image name", *names],
                     [[use, "x.png", *(one.get(name, 0) for name in names)] for use, one in zip(usage, counts, strict=True)])  # fmt: skip


def test_fer2013_csv_is_read_without_and_with_votes(fer):
    faces = read_faces(fer)
    assert faces.label.tolist() == list(range(7)) and faces.majority.tolist() == list(range(7)) and not faces.voted
    assert faces.split.tolist() == ["train"] * 5 + ["public_test", "private_test"] and faces.clear.all()
    np.testing.assert_array_equal(faces.images, pictures(7))
    plus(fer.with_name(PLUS), USAGE, anger=2, sadness=6, contempt=2)
    voted = read_faces(fer)
    assert voted.voted and voted.majority.tolist() == [EXPRESSIONS.index("sad"), *range(1, 7)]
    np.testing.assert_allclose(voted.votes[0], np.eye(7)[0] * 0.25 + np.eye(7)[4] * 0.75)
    assert voted.vote_share[0] == pytest.approx(0.8)


def test_csv_of_names_and_other_sizes_without_splits_is_read(tmp_path):
    rows = [["Happy" if at % 2 else "SAD", pixels(one)] for at, one in enumerate(pictures(40, 64))]
    faces = read_faces(write_csv(tmp_path / "mine.csv", [" emotion", " pixels "], rows))
    assert faces.images.shape == (40, 48, 48) and {EXPRESSIONS[k] for k in faces.label} == {"happy", "sad"}
    assert {name: int((faces.split == name).sum()) for name in set(faces.split)} == {"train": 32, "public_test": 4, "private_test": 4}


@pytest.mark.parametrize(("head", "row", "words"), [
    (["emotion", "pixels"], ["7", "1 2 3 4"], "unknown label '7'; known: angry, disgust, fear"),
    (["emotion", "pixels"], ["bored", "1 2 3 4"], "unknown label 'bored'"),
    (["emotion", "pixels"], ["3", "1 2 3"], "pixels of row 1 are no square picture"),
    (["emotion", "pixels"], ["3", "1 2 3 256"], "grey values 0 to 255"),
    (["emotion", "pixels", "Usage"], ["3", "1 2 3 4", "Later"], "unknown split 'Later'"),
    (["label", "pixels"], ["3", "1 2 3 4"], "lacks the columns emotion"),
])  # fmt: skip
def test_csv_that_does_not_fit_is_one_sentence(tmp_path, head, row, words):
    with pytest.raises(CrowdmoodError, match=words):
        read_faces(write_csv(tmp_path / "mine.csv", head, [row]))


def test_votes_of_other_rows_are_told(fer):
    plus(fer.with_name(PLUS), USAGE[::-1], anger=10)
    with pytest.raises(CrowdmoodError, match="its rows are not those of the file beside it"):
        read_faces(fer)
    with pytest.raises(CrowdmoodError, match="give fer2013.csv"):
        read_faces(fer.with_name(PLUS))


def save(path: Path, picture: np.ndarray, **more) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **more)


def test_a_folder_per_class_is_read_whatever_the_pictures_are(tmp_path):
    wide = np.zeros((100, 160), np.uint8)
    wide[:, 30:130] = cv2.resize(pictures(1)[0], (100, 100))  # the middle square
    save(tmp_path / "happy" / "wide.png", wide)
    save(tmp_path / "happy" / "deep" / "colour.jpg", np.repeat(pictures(2)[1][..., None], 3, 2), quality=95)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned by 90 degrees to the right
    save(tmp_path / "Sad" / "turned.jpg", np.rot90(pictures(3)[2]).copy(), exif=turned, quality=95)
    (tmp_path / "Sad" / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    faces = read_faces(tmp_path)
    assert sorted(EXPRESSIONS[k] for k in faces.label) == ["happy", "happy", "sad"] and not faces.voted
    happy, sad = (faces.images[faces.label == EXPRESSIONS.index(name)].astype(int) for name in ("happy", "sad"))
    for found, meant in ((happy, pictures(1)[0]), (happy, pictures(2)[1]), (sad, pictures(3)[2])):
        assert min(abs(one - meant).mean() for one in found) < 12


def test_folders_of_splits_are_taken_and_a_missing_one_is_drawn(tmp_path):
    for at, one in enumerate(pictures(60)):
        save(tmp_path / ("train" if at < 50 else "test") / ("happy" if at % 2 else "sad") / f"{at}.png", one)
    faces = read_faces(tmp_path)
    counts = {name: int((faces.split == name).sum()) for name in set(faces.split)}
    assert counts["private_test"] == 10 and counts["public_test"] in (4, 5, 6) and sum(counts.values()) == 60
    save(tmp_path / "val" / "sad" / "x.png", pictures(1)[0])
    assert (read_faces(tmp_path).split == "public_test").sum() == 1
    (tmp_path / "happy").mkdir()
    with pytest.raises(CrowdmoodError, match="side by side"):
        read_faces(tmp_path)


def test_folders_that_do_not_fit_are_one_sentence(tmp_path):
    with pytest.raises(CrowdmoodError, match="no pictures; needed: a folder for each of angry"):
        read_faces(tmp_path)
    save(tmp_path / "happy" / "a.png", pictures(1)[0])
    save(tmp_path / "contempt" / "a.png", pictures(1)[0])
    (tmp_path / "bored").mkdir()
    with pytest.raises(CrowdmoodError, match="unknown labels 'bored', 'contempt'; known: angry, .*neutral"):
        read_faces(tmp_path)
    (tmp_path / "bored").rmdir()
    (tmp_path / "contempt").rename(tmp_path / "sad")
    (tmp_path / "sad" / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(CrowdmoodError, match=r"sad/b.jpg cannot be read as a picture"):
        read_faces(tmp_path)


def test_a_table_needs_picture_and_label_only(tmp_path):
    path = write_table(tmp_path / "t.parquet", [table_row(one, "train", at % 7) for at, one in enumerate(pictures(70))])
    plain = pq.read_table(path, columns=["image", "label"])
    pq.write_table(plain.append_column("subject", [[f"person {at // 2}" for at in range(70)]]), path)
    faces = read_faces(path)
    assert not faces.voted and faces.majority.tolist() == faces.label.tolist()
    for person in range(35):
        assert len({*faces.split[2 * person : 2 * person + 2]}) == 1, "a person is on both sides"


def test_no_picture_and_no_person_is_on_two_sides():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 300)
    digest = np.array([b"%d" % number for number in rng.integers(0, 2000, 300)], dtype=object)
    subject = np.array([None if at % 3 else f"p{at // 9}" for at in range(300)], dtype=object)
    group = groups(digest, subject)
    for one in np.unique(digest):
        assert len(np.unique(group[digest == one])) == 1
    for one in {name for name in subject if name is not None}:
        assert len(np.unique(group[subject == one])) == 1
    place = places(label, group, digest, 1)
    fold, split = folds(place, 5), fill_splits(np.full(300, ""), place)
    for number in np.unique(group):
        assert len(np.unique(fold[group == number])) == 1 and len(np.unique(split[group == number])) == 1
    order = rng.permutation(300)  # another order of the same files gives the same sides
    again = places(label[order], groups(digest[order], subject[order]), digest[order], 1)
    assert (folds(again, 5) == fold[order]).mean() > 0.99
    assert (folds(places(label, group, digest, 2), 5) != fold).mean() > 0.5


def test_folds_have_the_same_share_of_each_label():
    label = np.repeat([0, 1, 2], [100, 50, 10])
    digest = np.array([b"%d" % at for at in range(160)], dtype=object)
    fold = folds(places(label, groups(digest), digest, 0), 5)
    for kind, count in ((0, 20), (1, 10), (2, 2)):
        assert np.bincount(fold[label == kind]).tolist() == [count] * 5


def test_some_labels_are_seen_as_if_there_were_no_others(tmp_path):
    three = pictures(4)
    happy, sad = EXPRESSIONS.index("happy"), EXPRESSIONS.index("sad")
    rows = [
        table_row(three[0], "train", happy, happiness=6, sadness=2, neutral=2),
        table_row(three[1], "train", sad, neutral=9, sadness=1),  # most people saw another
        table_row(three[2], "train", 0),  # another label
        table_row(three[3], "train", sad),
    ]
    faces = of_labels(read_faces(write_table(tmp_path / "t.parquet", rows)), ("sad", "happy"))
    assert faces.labels == ("sad", "happy") and faces.label.tolist() == [1, 0, 0] and faces.majority.tolist() == [1, -1, 0]
    np.testing.assert_allclose(faces.votes, [[0.25, 0.75], [1, 0], [1, 0]])
    np.testing.assert_allclose(faces.vote_share, [0.8, 0.1, 1.0])
    assert faces.row.tolist() == [0, 1, 3]


@pytest.mark.parametrize("text", ["happy", "happy,happy", "", "happy,bored"])
def test_labels_that_make_no_sense_are_told(text):
    with pytest.raises(CrowdmoodError, match="known: angry|different ones of angry"):
        said_labels(text)
