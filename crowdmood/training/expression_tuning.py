"""The search for a good recipe: Optuna proposes, a short training tries, public_test judges.

The study is an SQLite file, so any number of processes may work on it, one trial each at a time, and any may be killed: a
trial belongs to the process that holds its lock file. Who finds a trial that nobody holds puts its recipe back in the queue, and
its training goes on from its checkpoint.
"""

from __future__ import annotations

import fcntl
import json
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from shutil import rmtree

from crowdmood.errors import CrowdmoodError
from crowdmood.expression_net import Shape
from crowdmood.training.expression import Progress, train
from crowdmood.training.expression_data import LabelledFaces
from crowdmood.training.expression_recipe import FILE as RECIPE_FILE
from crowdmood.training.expression_recipe import recipe_of, write_recipe
from crowdmood.training.expression_state import FREE, Settings
from crowdmood.training.expression_tuning_plots import PLOT, Tried, draw

try:
    import optuna
    from optuna.trial import TrialState
except ImportError as error:
    raise CrowdmoodError("tuning needs the package optuna: pip install 'crowdmood[tune]'") from error

STUDY, NAME, LOCK = "study.db", "expression", ".study.lock"
GOALS = {"accuracy": "majority", "macro-f1": "macro_f1", "loss": "loss"}  # name: key in the history
WIDTHS = (0.25, 0.5, 0.75, 1.0)  # of the usual widths
SURE = 6  # trials before any is ended early
DRAWN_S = 20.0  # between two pictures of the trials
KILLED = 3  # a recipe that has ended so many processes is left alone


@dataclass(frozen=True)
class Search:
    """What is looked for. trials: in all, over all processes; goal: of GOALS; widths: factors of the usual widths;
    digest: of the data.
    """

    trials: int
    goal: str
    widths: tuple[float, ...]
    digest: str


def tune(faces: LabelledFaces, folder: Path, settings: Settings, search: Search, report: Callable[[Progress, str], None]) -> Tried:
    """Try recipes until so many trials are done or under way; after each, the best recipe and the plot are written.

    settings: what is not searched, and the first recipe that is tried. Returns all trials so far. Raises CrowdmoodError where the
    folder holds another search.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        study = _open(folder, settings, search)
    while (claimed := _claim(study, folder, search, settings)) is not None:
        trial, held = claimed
        with held:
            _try(trial, faces, folder, settings, (study, search, report))
            with _alone(folder):
                _write(study, folder, settings, search)
    found = tried(study, search)
    with _alone(folder):
        draw(folder / PLOT, found)
    return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time."""
    with open(folder / LOCK, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open(folder: Path, settings: Settings, search: Search) -> optuna.Study:
    """The study of a folder, made where there is none."""
    study = optuna.create_study(
        study_name=NAME, storage=f"sqlite:///{(folder / STUDY).resolve()}", load_if_exists=True,
        direction="minimize" if search.goal == "loss" else "maximize",
    )  # fmt: skip
    fixed = {key: value for key, value in vars(settings).items() if key not in FREE or key in ("epochs", "early_stopping")}
    asked = json.loads(json.dumps({"data": search.digest, "goal": search.goal, "widths": search.widths} | fixed))
    before = study.user_attrs.get("asked")
    if before is None:
        study.set_user_attr("asked", asked)
        study.enqueue_trial(_first(settings, search))
    elif changed := [name for name in asked if before.get(name) != asked[name]]:
        raise CrowdmoodError(f"{folder} holds a search with another {', '.join(changed)}; take another --out")
    return study


def _first(settings: Settings, search: Search) -> dict:
    """The recipe that is known to work, as a trial's parameters: whatever is found is no worse."""
    return {"width": max(search.widths), "dropout": min(settings.dropout, 0.6), "units": settings.units if settings.units in UNITS else 0,
            "rate": min(max(settings.rate, RATES[0]), RATES[1]), "augmentation": settings.augmentation}  # fmt: skip


UNITS = (0, 64, 128, 256)
RATES = (0.005, 0.5)


def suggest(trial: optuna.Trial, settings: Settings, search: Search) -> Settings:
    """Settings with what Optuna proposes."""
    width = trial.suggest_categorical("width", list(search.widths))
    return replace(
        settings,
        widths=scaled(width),
        dropout=trial.suggest_float("dropout", 0.0, 0.6),
        units=trial.suggest_categorical("units", list(UNITS)),
        rate=trial.suggest_float("rate", *RATES, log=True),
        augmentation=trial.suggest_float("augmentation", 0.0, 1.0),
    )


def scaled(width: float) -> tuple[int, ...]:
    """The usual widths times a factor, in multiples of 8."""
    return tuple(max(8, 8 * round(width * usual / 8)) for usual in Shape().widths)


def _claim(study: optuna.Study, folder: Path, search: Search, settings: Settings):
    """The next trial, and its lock that is held; None where enough are done or under way."""
    with _alone(folder):
        _take_back(study, folder)
        trials = study.get_trials(deepcopy=False)
        if sum(one.state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING) for one in trials) >= search.trials:
            return None
        # A seed for each trial: processes must not propose the same, and a search that was stopped goes on as it would have.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # what constant_liar is called
            study.sampler = optuna.samplers.TPESampler(seed=1000 * settings.seed + len(trials), n_startup_trials=SURE, constant_liar=True)
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=SURE, n_warmup_steps=max(1, settings.epochs // 3))
        trial = study.ask()
        held = _hold(folder, trial.number)
        return trial, held


def _hold(folder: Path, number: int):
    """The open lock file of a trial, held; None where another process holds it."""
    place = folder / "trials"
    place.mkdir(exist_ok=True)
    file = open(place / f".trial-{number}.lock", "w")  # noqa: SIM115 it is held as long as it is open
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _take_back(study: optuna.Study, folder: Path) -> None:
    """Put the recipes of trials whose process has died back in the queue."""
    for one in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        held = _hold(folder, one.number)
        if held is None:
            continue
        with held:
            study.tell(one.number, state=TrialState.FAIL)
            killed = one.user_attrs.get("killed", 0) + 1
            recipe = one.params or one.system_attrs.get("fixed_params")  # it may have died before it asked for its recipe
            if recipe and killed < KILLED:
                study.enqueue_trial(recipe, user_attrs={"killed": killed})


def _try(trial: optuna.Trial, faces: LabelledFaces, folder: Path, settings: Settings, around: tuple) -> None:
    """Train one recipe; its figure goes to the study."""
    study, search, report = around
    proposed = suggest(trial, settings, search)
    key = blake2b(json.dumps(trial.params, sort_keys=True).encode(), digest_size=6).hexdigest()
    place, goal = folder / "trials" / key, GOALS[search.goal]

    def watch(progress: Progress) -> None:
        report(progress, f"trial {trial.number + 1} of {search.trials}")
        if progress.measured:
            trial.report(progress.measured[goal], progress.measured["epoch"])
            if progress.share < 1 and trial.should_prune():
                raise optuna.TrialPruned

    try:
        state = train(faces, place / "checkpoint.pt", proposed, watch)
        epoch = state.best["epoch"] if state.best else state.history[-1]["epoch"]
        study.tell(trial, next(line[goal] for line in reversed(state.history) if line["epoch"] == epoch))
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except CrowdmoodError:
        study.tell(trial, state=TrialState.FAIL)
        raise
    rmtree(place, ignore_errors=True)


def tried(study: optuna.Study, search: Search) -> Tried:
    """All finished trials of a study, in their order."""
    trials = [one for one in study.get_trials(deepcopy=False) if one.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    return Tried(
        goal=search.goal,
        number=[one.number for one in trials],
        value=[one.value if one.state == TrialState.COMPLETE else None for one in trials],
        params=[one.params for one in trials],
    )


def _write(study: optuna.Study, folder: Path, settings: Settings, search: Search) -> None:
    """The best recipe so far, and the plot, but not all the time."""
    found = tried(study, search)
    with suppress(ValueError):  # no trial is complete
        best = study.best_trial
        recipe = recipe_of(suggest(optuna.trial.FixedTrial(best.params), settings, search))
        words = [f"Best of {len(found.number)} trials: {search.goal} {best.value:.4f} on public_test after {settings.epochs} epochs",
                 "crowdmood train expression --recipe recipe.toml ..."]  # fmt: skip
        write_recipe(folder / RECIPE_FILE, recipe, words)
    plot = folder / PLOT
    if not plot.exists() or time.time() - plot.stat().st_mtime > DRAWN_S:
        draw(plot, found)
