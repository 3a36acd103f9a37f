"""Cross-validation and the search for recipes: real trainings of tiny nets, killed and gone on with."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from crowdmood.errors import CrowdmoodError
from crowdmood.training.expression_data import read_faces
from crowdmood.training.expression_folds import (
    Plan,
    _split,
    cross_validate,
    spread,
    summary,
)
from crowdmood.training.expression_recipe import read_recipe, write_recipe
from crowdmood.training.expression_state import Settings
from tests.drawn_faces import draw, drawn_table, table_row, write_table
from tests.forks import CROWDMOOD, Forks

TINY = {"widths": [8, 8, 8, 8], "blocks": [1, 1, 1, 1], "batch": 14}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return drawn_table(tmp_path_factory.mktemp("faces") / "drawn.parquet", train=70)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    write_recipe(path, TINY, [])
    return path


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    pytest.importorskip("optuna")
    forks = Forks("crowdmood.cli.evaluate_expression", "crowdmood.training.expression_folds", "crowdmood.training.expression_tuning",
                  "crowdmood.training.expression_export", "torch.utils.tensorboard", "torch._dynamo", "optuna.samplers._tpe.sampler",
                  "optuna.storages._rdb.storage", "sqlalchemy.dialects.sqlite", "alembic.script", "alembic.runtime.environment")  # fmt: skip
    yield forks
    forks.stop()


def kfold(drawn: Path, recipe: Path, out: Path) -> tuple:
    return ("evaluate", "expression", "--data", drawn, "--kfold", 3, "--epochs", 2, "--labels", "happy,sad,neutral", "--recipe", recipe, "--out", out)


def wait_for(process, found) -> None:
    """Until something is there that a running process makes."""
    deadline = time.monotonic() + 300
    while not found():
        assert time.monotonic() < deadline, process.says("stderr")
        time.sleep(0.01)


def test_a_killed_cross_validation_goes_on_and_gives_the_same_figures(forks, drawn, recipe, tmp_path):
    whole = forks.crowdmood(*kfold(drawn, recipe, tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    process = forks.start(CROWDMOOD, kfold(drawn, recipe, tmp_path / "killed"))
    wait_for(process, (tmp_path / "killed" / "repeat-1-fold-1.json").exists)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "kfold.json").exists()
    again = forks.crowdmood(*kfold(drawn, recipe, tmp_path / "killed"))
    assert again.returncode == 0 and "fold 1 of 3" not in again.stderr, again.stderr
    first, second = (json.loads((tmp_path / name / "kfold.json").read_text()) for name in ("whole", "killed"))
    assert first == second and np.sum(first["pooled"]["confusion"]) == 30
    assert first["values"]["accuracy, majority"]["low"] <= first["values"]["accuracy, majority"]["mean"]
    for name in ("confusion.png", "reliability.png", "sizes.png"):
        assert (tmp_path / "killed" / name).read_bytes().startswith(b"\x89PNG")
    assert "95 % low" in again.stdout and "Nadeau and Bengio" in again.stdout
    other = forks.crowdmood(*kfold(drawn, recipe, tmp_path / "killed"), "--seed", 1)
    assert other.returncode == 1 and "with another seed" in other.stderr and (tmp_path / "killed" / "kfold.json").exists()


def test_identical_pictures_stay_in_one_fold_and_all_are_measured_once(tmp_path):
    rng = np.random.default_rng(3)
    rows = [table_row(draw(at % 7, rng), "train", at % 7) for at in range(70)]
    faces = read_faces(write_table(tmp_path / "twice.parquet", rows + rows))
    held = np.stack([_split(faces, 0, fold, 5) == "private_test" for fold in range(5)])
    assert (held.sum(axis=0) == 1).all() and (held[:, :70] == held[:, 70:]).all()
    for fold in range(5):
        split = _split(faces, 0, fold, 5)
        sides = [set(faces.digest[split == name]) for name in ("train", "public_test", "private_test")]
        assert all(sides) and not (sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2])
    assert (np.stack([_split(faces, 1, fold, 5) == "private_test" for fold in range(5)]) != held).any(), "repeats draw other folds"


def test_too_few_faces_for_the_folds_are_told(drawn, tmp_path):
    with pytest.raises(CrowdmoodError, match="--kfold 11: there are only 10 different faces of angry"):
        cross_validate(read_faces(drawn), tmp_path, Settings(epochs=1), Plan(11, 1, ""), print)


def test_the_interval_by_hand():
    found = spread(np.array([0.70, 0.74, 0.66, 0.72, 0.68]), 5)
    # deviation 0.0316; t(4) = 2.776; root of 1/5 + 1/4: 0.6708
    assert found == {"mean": 0.7, "low": pytest.approx(0.6411, abs=2e-4), "high": pytest.approx(0.7589, abs=2e-4), "deviation": 0.0316}


def test_folds_are_put_together_by_hand():
    def fold(right: float, n: int, line: list) -> dict:
        one = {"accuracy": right, "n": n}
        return {"voted": False, "labels": ["happy", "sad"], "majority": one, "macro_f1": right, "ece": 0.1, "sides": {"48": one},
                "classes": {"happy": {"recall": right}}, "confusion": [[n, 0], [0, 0]], "reliability": {"before": [line], "after": [line]}}  # fmt: skip

    found = summary([fold(0.5, 10, [0.9, 0.5, 10]), fold(1.0, 30, [0.92, 1.0, 30])], 2)
    assert found["values"]["accuracy"]["mean"] == 0.75 and found["pooled"]["confusion"] == [[40, 0], [0, 0]]
    assert found["pooled"]["sides"]["48"]["accuracy"] == 0.875 and found["pooled"]["reliability"]["after"] == [[0.915, 0.875, 40]]
    assert found["pooled"]["ece"] == pytest.approx(0.04)


@pytest.mark.parametrize(("words", "told"), [
    ("--kfold 3", "--kfold needs --data, --out"),
    ("--kfold 3 --model m", "leave out --model"),
    ("--early-stopping --photos p", "does not exist"),
])  # fmt: skip
def test_wrong_use_is_told(forks, words, told):
    done = forks.crowdmood("evaluate", "expression", *words.split())
    assert done.returncode == 2 and told in done.stderr


def tune(drawn: Path, recipe: Path, out: Path, trials: int) -> tuple:
    return ("tune", "expression", "--data", drawn, "--out", out, "--trials", trials, "--epochs", 2, "--widths", "0.1", "--recipe", recipe,
            "--goal", "loss", "--labels", "happy,sad,neutral")  # fmt: skip


def study_of(out: Path):
    optuna = pytest.importorskip("optuna")
    return optuna.load_study(study_name="expression", storage=f"sqlite:///{out / 'study.db'}")


def trials(out: Path) -> list:
    return study_of(out).get_trials(deepcopy=False)


def test_a_killed_search_goes_on_and_its_recipe_trains(forks, drawn, recipe, tmp_path):
    out = tmp_path / "tuned"
    process = forks.start(CROWDMOOD, tune(drawn, recipe, out, 3))
    wait_for(process, (out / "recipe.toml").exists)
    wait_for(process, (out / "trials" / ".trial-1.lock").exists)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    again = forks.crowdmood(*tune(drawn, recipe, out, 3))
    assert again.returncode == 0, again.stderr
    found = [one.state.name for one in trials(out)]
    assert sum(name in ("COMPLETE", "PRUNED") for name in found) == 3 and "RUNNING" not in found
    assert "best of 3 trials" in again.stdout and (out / "trials.png").read_bytes().startswith(b"\x89PNG")
    done = forks.crowdmood(*tune(drawn, recipe, out, 3))
    assert done.returncode == 0 and len(trials(out)) == len(found), "a search that is done tries no more"
    assert read_recipe(out / "recipe.toml")["batch"] == 14
    other = forks.crowdmood(*tune(drawn, recipe, out, 3), "--split-seed", 4)
    assert other.returncode == 1 and "holds a search with another split_seed; take another --out" in other.stderr
    model = tmp_path / "model"
    trained = forks.crowdmood("train", "expression", "--data", drawn, "--labels", "happy,sad,neutral", "--epochs", 1, "--out", model,
                              "--recipe", out / "recipe.toml")  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert read_recipe(model / "recipe.toml") == read_recipe(out / "recipe.toml")


def test_two_processes_share_one_search(forks, drawn, recipe, tmp_path):
    twice = """
import os
other = os.fork()
try:
    from crowdmood.cli import main
    main()
except SystemExit as end:
    if other == 0:
        os._exit(end.code or 0)
    assert not end.code and os.waitpid(other, 0)[1] == 0
"""
    out = tmp_path / "tuned"
    done = forks.run(twice, *tune(drawn, recipe, out, 5))
    assert done.returncode == 0, done.stderr
    found = trials(out)
    assert len(found) == 5 and {one.state.name for one in found} <= {"COMPLETE", "PRUNED"}
    assert len({json.dumps(one.params) for one in found}) == 5, "both tried the same"
    assert any(a.number != b.number and a.datetime_start < b.datetime_start < a.datetime_complete for a in found for b in found), "one after the other"


def test_a_trial_whose_process_has_died_is_tried_again_but_not_for_ever(forks, drawn, recipe, tmp_path):
    from crowdmood.training.expression_tuning import KILLED, _hold, _take_back

    out = tmp_path / "tuned"
    assert forks.crowdmood(*tune(drawn, recipe, out, 1)).returncode == 0
    study = study_of(out)
    for killed in range(1, KILLED + 1):
        trial = study.ask()
        if killed == 1:
            trial.suggest_float("dropout", 0.0, 0.6)
        assert trial.user_attrs.get("killed", 0) == killed - 1
        with _hold(out, trial.number):
            _take_back(study, out)
            assert study.trials[-1].state.name == "RUNNING", "its process is alive"
        _take_back(study, out)
        assert study.trials[trial.number].state.name == "FAIL"
        trial_again = study.trials[-1]
        if killed < KILLED:
            assert trial_again.state.name == "WAITING" and trial_again.system_attrs["fixed_params"].keys() == {"dropout"}
    assert trial_again.state.name == "FAIL"
