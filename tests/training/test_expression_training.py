"""What people may ask of a training: recipes, some labels only, weights of labels, early stopping, curves."""

from __future__ import annotations

import csv
import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from crowdmood.cli.train_expression import expression
from crowdmood.cli.training_display import sparks
from crowdmood.cli.training_options import settings_of
from crowdmood.errors import CrowdmoodError, ModelError
from crowdmood.expression_net import (
    ExpressionNet,
    Shape,
    expression_network,
    save_weights,
)
from crowdmood.models import EXPRESSION_NET, find_model
from crowdmood.training.expression import class_weights, train
from crowdmood.training.expression_augment import ONE_SIDE, training_crops
from crowdmood.training.expression_data import of_labels, read_faces
from crowdmood.training.expression_recipe import read_recipe, recipe_of, write_recipe
from crowdmood.training.expression_state import Settings, load_checkpoint
from tests.drawn_faces import drawn_table
from tests.forks import Forks

TINY = {"widths": [8, 8, 16, 16], "blocks": [1, 1, 1, 1], "dropout": 0.1, "rate": 0.1, "batch": 14}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return drawn_table(tmp_path_factory.mktemp("faces") / "drawn.parquet", train=84, public_test=28, private_test=28)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    write_recipe(path, TINY | {"units": 12}, ["a tiny net"])
    return path


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    forks = Forks("crowdmood.cli.train_expression", "crowdmood.cli.evaluate_expression", "crowdmood.training.expression_export",
                  "torch.utils.tensorboard", "torch._dynamo", "crowdmood.analysis", "crowdmood.cli.analyze")  # fmt: skip
    yield forks
    forks.stop()


@pytest.fixture(scope="module")
def binary(forks, drawn, recipe, tmp_path_factory) -> Path:
    """The folder of a net that tells happy from sad, trained in six epochs."""
    folder = tmp_path_factory.mktemp("models") / "two"
    words = ("--labels", "happy,sad", "--epochs", 6, "--batch", 6, "--recipe", recipe, "--early-stopping", 5, "--class-weights", "balanced")
    done = forks.crowdmood("train", "expression", "--data", drawn, "--out", folder, *words)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_net_of_two_labels_says_so(binary):
    card = tomllib.loads((binary / "card.toml").read_text())
    assert card["labels"] == ["happy", "sad"] and "units" in card["architecture"] and card["training"]["recipe"]["units"] == 12
    assert "Knows only happy, sad" in (binary / "README.md").read_text()
    words = card["training"]["command"]
    assert "--labels happy,sad" in words and "--recipe recipe.toml" in words and "--early-stopping 5" in words
    assert read_recipe(binary / "recipe.toml")["class_weights"] == "balanced"
    net = expression_network(binary / "weights.safetensors")
    assert net(torch.zeros(3, 1, 48, 48)).shape == (3, 2)


def test_a_net_of_two_labels_is_refused_where_seven_are_needed(forks, binary, clip, tmp_path):
    with pytest.raises(ModelError, match="labels lack angry, disgust, fear, surprise, neutral"):
        find_model(EXPRESSION_NET, binary)
    done = forks.crowdmood("analyze", clip, "--expression", binary, "--results", tmp_path / "r")
    assert done.returncode != 0 and "can only be measured" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert not list((tmp_path / "r").rglob("*.parquet"))


def test_a_net_of_two_labels_is_measured_on_its_labels(forks, drawn, binary, tmp_path):
    done = forks.crowdmood("evaluate", "expression", "--data", drawn, "--model", binary, "--out", tmp_path / "figures", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["labels"] == ["happy", "sad"] and np.sum(figures["confusion"]) == 8 and list(figures["classes"]) == ["happy", "sad"]
    for name in ("confusion.png", "reliability.png", "sizes.png"):
        assert (tmp_path / "figures" / name).read_bytes().startswith(b"\x89PNG")
    wrong = forks.crowdmood("evaluate", "expression", "--data", drawn, "--model", binary, "--labels", "happy,fear")
    assert wrong.returncode == 1 and "two knows no fear; it knows --labels happy,sad" in wrong.stderr


def test_the_shipped_net_can_be_asked_for_two_labels(forks, drawn):
    done = forks.crowdmood("evaluate", "expression", "--data", drawn, "--labels", "sad,happy", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert list(figures["classes"]) == ["sad", "happy"] and np.shape(figures["confusion"]) == (2, 2) and figures["majority"]["n"] == 8


def test_the_curves_are_in_a_csv_file_and_in_tensorboard(binary):
    with open(binary / "curves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6] and all(float(row["train_loss"]) > 0 for row in rows)
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = accumulator.EventAccumulator(str(binary / "tensorboard"))
    board.Reload()
    found = board.Scalars("val/accuracy")
    assert [one.step for one in found] == [1, 2, 3, 4, 5, 6]
    assert [one.value for one in found] == pytest.approx([float(row["val_accuracy"]) for row in rows])


def test_curves_of_a_training_that_went_on_are_whole(forks, drawn, recipe, binary, tmp_path):
    folder = Path(shutil.copytree(binary, tmp_path / "two"))
    words = ("--labels", "happy,sad", "--epochs", 8, "--batch", 6, "--recipe", recipe, "--class-weights", "balanced")
    done = forks.crowdmood("train", "expression", "--data", drawn, "--out", folder, *words)
    assert done.returncode == 0 and "after epoch 7:" in done.stderr and "after epoch 6:" not in done.stderr, done.stderr
    epochs = [line.split(",")[0] for line in (folder / "curves.csv").read_text().splitlines()]
    assert epochs == ["epoch", *map(str, range(1, 9))]


def test_early_stopping_ends_and_keeps_the_best(drawn, tmp_path):
    faces = read_faces(drawn)
    # Learned far too fast, so that it gets no better soon; in hundred epochs it would take minutes.
    settings = Settings(epochs=100, **{name: tuple(value) if isinstance(value, list) else value for name, value in TINY.items()} | {"rate": 8.0},
                        early_stopping=2)  # fmt: skip
    state = train(faces, tmp_path / "c.pt", settings, lambda progress: None)
    loss = [line["loss"] for line in state.history]
    best = int(np.argmin(loss)) + 1
    assert len(loss) == best + 2 and state.best["epoch"] == best, loss
    again = load_checkpoint(tmp_path / "c.pt", settings)
    kept = again.result().state_dict()
    assert all(torch.equal(kept[name], value) for name, value in state.best["weights"].items())
    assert len(train(faces, tmp_path / "c.pt", settings, lambda progress: None).history) == len(loss), "it was begun again"


def test_early_stopping_needs_faces_to_judge_by(drawn, tmp_path):
    faces = read_faces(drawn)
    with pytest.raises(CrowdmoodError, match="public_test"):
        train(faces.where(faces.split == "train"), tmp_path / "c.pt", Settings(epochs=1, early_stopping=2), print)


def test_labels_that_nobody_shows_are_told(drawn, tmp_path):
    faces = read_faces(drawn)
    with pytest.raises(CrowdmoodError, match="no faces of fear, neutral to learn from; train on the others with --labels angry,disgust,happy,sad,surprise"):
        train(faces.where(~np.isin(faces.label, (2, 6))), tmp_path / "c.pt", Settings(epochs=1), print)


def test_class_weights_by_hand():
    labels, count = ("happy", "sad", "fear"), np.array([60, 30, 10])
    balanced = class_weights(count, Settings(labels=labels, class_weights="balanced")).numpy()
    np.testing.assert_allclose(balanced * count, np.full(3, 100 / 3), rtol=1e-6)
    some = class_weights(count, Settings(labels=labels, class_weights="fear=4,sad=2")).numpy()
    np.testing.assert_allclose(some / some[0], [1, 2, 4], rtol=1e-6)
    assert (some * count).sum() == pytest.approx(100, rel=1e-6) and class_weights(count, Settings(labels=labels)) is None


def test_class_weights_help_a_rare_label(drawn, tmp_path):
    """One label has four faces of sixteen; weighed fiftyfold, it is said more often."""
    faces = of_labels(read_faces(drawn), ("happy", "sad"))
    keep = np.ones(len(faces), bool)
    keep[np.flatnonzero((faces.label == 1) & (faces.split == "train"))[4:]] = False
    said = {}
    for how in ("none", "sad=50"):
        settings = Settings(epochs=6, labels=("happy", "sad"), widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), batch=8, rate=0.05, class_weights=how)
        net = train(faces.where(keep), tmp_path / f"{how}.pt", settings, lambda progress: None).result().eval()
        with torch.no_grad():
            logits = net(torch.from_numpy(faces.images).float()[:, None])
        said[how] = float((logits[:, 1] - logits[:, 0]).mean())
    assert said["sad=50"] > said["none"]


@pytest.mark.parametrize(("text", "words"), [
    ("widths = [1, 2]", "widths = .* must be four whole numbers from 4"),
    ("dropout = 2.0", "dropout = 2.0 must be a number from 0 to 0.95"),
    ("units = true", "units = True must be a whole number"),
    ("class_weights = 'rare'", "class_weights"),
    ("depth = 3", "a recipe knows no depth; known: widths"),
    ("widths = [", "cannot be read as a recipe"),
])  # fmt: skip
def test_wrong_recipes_are_one_sentence(tmp_path, text, words):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(CrowdmoodError, match=words):
        read_recipe(tmp_path / "r.toml")


def test_a_recipe_comes_back_as_it_was_and_options_win(tmp_path):
    settings = Settings(epochs=3, widths=(8, 16, 24, 32), dropout=0.25, units=64, rate=0.03, augmentation=0.5, class_weights="fear=2")
    write_recipe(tmp_path / "r.toml", recipe_of(settings), ["words"])
    more = {"labels": None, "split_seed": None, "epochs": 3}
    assert settings_of(recipe=tmp_path / "r.toml", **more) == settings
    assert settings_of(recipe=tmp_path / "r.toml", batch=9, class_weights="none", **more).batch == 9
    with pytest.raises(CrowdmoodError, match="no label 'bored'"):
        settings_of(recipe=None, class_weights="bored=2", **more)


def test_another_recipe_is_no_continuation(drawn, recipe, binary):
    words = ["--data", str(drawn), "--out", str(binary), "--labels", "happy,sad", "--epochs", "6", "--batch", "6", "--recipe", str(recipe)]
    done = CliRunner().invoke(expression, words)
    assert isinstance(done.exception, CrowdmoodError) and "begun with class_weights balanced, not none" in str(done.exception)


def test_weights_keep_the_shape_of_their_net(tmp_path):
    net = ExpressionNet(Shape((8, 8, 16, 16), (1, 1, 1, 1), units=20, classes=3)).eval()
    save_weights(net, tmp_path / "w.safetensors")
    again = expression_network(tmp_path / "w.safetensors")
    crops = torch.rand(2, 1, 48, 48) * 255
    with torch.no_grad():
        assert again.shape.units == 20 and torch.allclose(again(crops), net(crops), atol=2e-3)


def test_without_augmentation_pictures_are_mirrored_only(drawn):
    images = read_faces(drawn).images[:32]
    clean = torch.from_numpy(images).float()[:, None]
    def same(changed: float) -> float:
        crops = training_crops(images, 0.8, torch.Generator().manual_seed(1), changed)
        return float(torch.stack([(crops == one).flatten(1).all(1) for one in (clean, clean.flip(3))]).any(0).float().mean())
    assert same(0.0) == 1.0 and same(1.0) < 0.2 and 0.3 < same(0.4) < 0.9


def test_with_early_stopping_all_epochs_learn_at_the_size_that_is_judged(drawn):
    images = read_faces(drawn).images[:4]
    usual, one = (training_crops(images, 0.1, torch.Generator().manual_seed(1), **more).shape[2] for more in ({}, {"sides": ONE_SIDE}))
    assert usual < one == 48


def test_the_course_is_drawn_as_bars():
    assert sparks([0.0, 0.5, 1.0]) == "▁▅█" and sparks([0.3]) == "▁" and len(sparks([0.1] * 1000)) == 40
