"""Popularity: a head trained on pictures in the UCF Selfie layout, measured by K-fold, and photos scored by it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import spearmanr

from crowdmood.cli.models import models
from crowdmood.cli.photos import photos
from crowdmood.cli.train_popularity import popularity as train
from crowdmood.errors import CrowdmoodError, ModelError
from crowdmood.models import read_model
from crowdmood.photos.features import FEATURES, features
from crowdmood.photos.popularity import (
    find_popularity,
    load_head,
    usual_folder,
    verdict,
)
from crowdmood.training.popularity import _middle, learned, read_table
from tests.photo_files import photograph
from tests.rated_pictures import write_rated

FEW = ("--kfold", "4", "--threads", "1")


def run(command, *words: object) -> str:
    """What a command prints. Raises what it raises."""
    done = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def trained(once) -> Path:
    """A folder with `data`, `bright.npy`, what was found in the pictures (`keep`), a `model` and its `figures.json`."""

    def make(folder: Path) -> None:
        np.save(folder / "bright.npy", write_rated(folder / "data", 72))
        told = run(train, "--data", folder / "data", "--out", folder / "model", "--keep", folder / "keep", "--json", *FEW)
        (folder / "figures.json").write_text(told)

    return once("popularity", make)


def test_what_brightness_decides_is_learned_and_measured(trained):
    figures = json.loads((trained / "figures.json").read_text())
    assert figures["accuracy"] > 0.85 and figures["accuracy_low"] > 0.6 and figures["base_rate"] < 0.6
    assert figures["rank_correlation"] > 0.8 and (figures["pictures"], figures["folds"]) == (72, 4)
    card, readme = read_model(trained / "model").card, (trained / "model" / "README.md").read_text()
    assert card["metrics"]["accuracy"] == figures["accuracy"] and "prejudices" in card["limits"] and "| light " in readme
    assert "popularity head" in run(models, trained / "model")


def test_pictures_that_were_never_seen_are_in_the_order_of_their_brightness(trained, tmp_path):
    bright = write_rated(tmp_path / "other", 12, seed=77)
    asked = ("rank", tmp_path / "other" / "images", "--by", "popularity", "--popularity", trained / "model", "--results", tmp_path / "results",
             "--threads", "1", "--json", "--quiet")
    found = json.loads(run(photos, *asked))
    score = {row["file"]: row["score"] for row in found["ranked"]}
    assert len(score) == 12 and found["by"] == "popularity"
    assert spearmanr([score[f"selfie_{at:04}.jpg"] for at in range(12)], bright).statistic > 0.8
    page = Path(found["page"]).read_text()
    assert "The 3 top-scored photos by popularity" in page and "prejudices" in page
    assert found["model"].startswith("accuracy ") and "guessing gives" in found["model"]
    (kept,) = (tmp_path / "results").glob("reports/*/*/popularity-*.json")
    kept.write_text(json.dumps(dict.fromkeys(range(12), 0.25)))  # asked again, nothing is computed anew
    assert {row["score"] for row in json.loads(run(photos, *asked))["ranked"]} == {0.25}
    one = json.loads(run(photos, "show", tmp_path / "other" / "images" / "selfie_0000.jpg", "--by", "popularity", "--popularity", trained / "model",
                         "--labels", "happy,sad", "--threads", "1", "--json"))
    assert one["popularity"] == pytest.approx(score["selfie_0000.jpg"], abs=0.02)


def test_chance_is_called_chance(trained, tmp_path):
    """The same pictures, whose popularity is drawn by lot: nothing can be learned."""
    shutil.copytree(trained / "data" / "images", tmp_path / "data" / "images", copy_function=shutil.copy2)
    names = sorted(path.stem for path in (tmp_path / "data" / "images").iterdir())
    drawn = np.random.default_rng(3).normal(size=len(names))
    (tmp_path / "data" / "selfie_dataset.txt").write_text("".join(f"{name} {value:.4f} 1 -1\n" for name, value in zip(names, drawn, strict=True)))
    told = run(train, "--data", tmp_path / "data", "--out", tmp_path / "model", "--keep", trained / "keep", "--quiet", *FEW)
    card = read_model(tmp_path / "model").card
    assert card["metrics"]["accuracy_low"] < 0.5 < card["metrics"]["accuracy_high"] and "the scores mean nothing" in told


def test_without_a_model_it_is_said_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.delenv("CROWDMOOD_POPULARITY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert usual_folder() == tmp_path / "data" / "crowdmood" / "popularity"
    photograph("hopper", 100).save(tmp_path / "photo.jpg")
    for words in (("rank", tmp_path, "--results", tmp_path / "results"), ("show", tmp_path / "photo.jpg")):
        done = CliRunner().invoke(photos, [str(word) for word in (*words, "--by", "popularity")])
        assert "crowdmood train popularity --data FOLDER" in str(done.exception) and isinstance(done.exception, ModelError)
    assert not (tmp_path / "results").exists()


def test_popularity_is_of_whole_photos(trained, tmp_path):
    done = CliRunner().invoke(photos, ["rank", str(tmp_path), "--by", "popularity", "--popularity", str(trained / "model"), "--group"])
    assert isinstance(done.exception, CrowdmoodError) and "leave one of the two out" in str(done.exception)


def test_models_that_do_not_fit_are_refused(trained, tmp_path):
    shutil.copytree(trained / "model", tmp_path / "model")
    card = (tmp_path / "model" / "card.toml").read_text()
    (tmp_path / "model" / "card.toml").write_text(card.replace('"chroma",', '"colour",'))
    with pytest.raises(ModelError, match="other features than this version"):
        load_head(find_popularity(tmp_path / "model"))
    (tmp_path / "model" / "card.toml").write_text(card)
    weights = tmp_path / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(ModelError, match="sha256"):
        load_head(find_popularity(tmp_path / "model"))
    with pytest.raises(ModelError, match="holds: face detector; needed: popularity head"):
        find_popularity(Path(__file__).parents[1] / "models" / "face-2")


@pytest.mark.parametrize(("content", "words"), [
    (None, "selfie_dataset.txt"), ("", "no lines"), ("a 1.5\nb much\n", "line 2: a name and a number"), ("a\n", "line 1"), ("a nan\n", "line 1")])
def test_other_tables_are_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "selfie_dataset.txt").write_text(content)
    with pytest.raises(CrowdmoodError, match=words):
        read_table(tmp_path)


def test_data_without_pictures_are_refused(tmp_path):
    (tmp_path / "selfie_dataset.txt").write_text("a 1.5 1 -1\n")
    asked = ["--data", str(tmp_path), "--keep", str(tmp_path / "keep"), "--out", str(tmp_path / "model"), *FEW]
    assert "needed: selfie_dataset.txt" in str(CliRunner().invoke(train, asked).exception)
    (tmp_path / "images").mkdir()
    photograph("hopper", 80).save(tmp_path / "images" / "other.jpg")
    assert "no picture in" in str(CliRunner().invoke(train, asked).exception) and not (tmp_path / "model").exists()
    photograph("hopper", 80).save(tmp_path / "images" / "a.jpg")
    assert "needs 16 different pictures" in str(CliRunner().invoke(train, asked).exception) and not (tmp_path / "model").exists()


def test_half_of_the_pictures_are_popular_as_far_as_ties_allow():
    assert _middle(np.array([1.0, 2, 3, 4])) == 2
    assert _middle(np.array([1.0, 1, 1, 1, 2])) == 1
    assert _middle(np.array([1.0, 2, 2, 2, 2, 3])) in (1, 2)


def test_what_is_the_same_everywhere_decides_nothing():
    rng = np.random.default_rng(1)
    rows = np.zeros((80, len(FEATURES)), np.float32)
    rows[:, 3] = rng.normal(size=80)
    head = learned(rows, rows[:, 3] > 0, np.arange(80))
    assert ((head(rows) > 0.5) == (rows[:, 3] > 0)).mean() > 0.9
    rows[:, 7] = 1000  # never seen to differ: it must not carry a score away
    assert ((head(rows) > 0.5) == (rows[:, 3] > 0)).mean() > 0.9


def test_features_are_those_of_the_picture_and_its_largest_face():
    image = np.zeros((90, 120, 3), np.uint8)
    image[:, 60:] = 255
    row = dict(zip(FEATURES, features(image, (1200, 900), None).tolist(), strict=True))
    assert row["light"] == pytest.approx(50, abs=1) and row["dark share"] == pytest.approx(0.5, abs=0.02) and row["chroma"] < 1
    assert row["light in row 1, column 1"] < 5 and row["light in row 4, column 4"] > 95 and row["face score"] == 0
    face = {"faces": 2, "size_px": 300, "x": 600, "y": 225, "score": 0.9, "sharpness": 99, **dict.fromkeys(("angry", "disgust", "fear", "sad"), 0.0),
            "happy": 1.0, "surprise": 0.0, "neutral": 0.0}
    row = dict(zip(FEATURES, features(image, (1200, 900), face).tolist(), strict=True))
    assert (row["face left to right"], row["face top to bottom"], row["shows happy"]) == (0.5, 0.25, 1.0)
    assert features(np.zeros((3, 900, 3), np.uint8), (900, 3), None).shape == (len(FEATURES),)


def test_figures_that_hold_guessing_say_so():
    figures = {"accuracy": 0.6, "accuracy_low": 0.55, "accuracy_high": 0.65, "base_rate": 0.51, "folds": 10, "repeats": 1, "pictures": 1000}
    assert "mean nothing" not in verdict(figures) and "guessing gives 51.0%" in verdict(figures)
    assert "mean nothing" in verdict(figures | {"accuracy_low": 0.49})
