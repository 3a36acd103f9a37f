"""Fixtures that several test files share."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of real clips: CROWDMOOD_MEDIA, else ../shared/media beside the checkout."""
    return _folder("CROWDMOOD_MEDIA", "media")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of training data: CROWDMOOD_DATA, else ../shared/data beside the checkout."""
    return _folder("CROWDMOOD_DATA", "data")


def _folder(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable) or ROOT.parent / "shared" / name)
    if not folder.is_dir():
        pytest.skip(f"no {name} folder: {folder} is not there (set {variable})")
    return folder


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`once(name, make)`: a folder that `make(folder)` fills once for all processes of the test run, who wait for it.

    Many tests look at it, some at the same time: who wants to change it makes a copy.
    """
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        made, done = root / f"once-{name}", root / f"once-{name}.done"
        with open(root / f"once-{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(made, ignore_errors=True)
                made.mkdir()
                make(made)
                done.touch()
        return made

    return folder


@pytest.fixture(scope="session")
def clip(once) -> Path:
    """The demo clip: 12 s, 1280 x 720, 25 frames a second; a gallery of five faces, then a pan over a group."""
    from crowdmood.demo import write_clip

    return once("demo", lambda folder: write_clip(folder / "demo.mp4")) / "demo.mp4"


@pytest.fixture(scope="session")
def long_clip(once, clip) -> Path:
    """The demo clip ten times over, 120 s: four chunks."""
    from tests.clips import repeat

    return once("long", lambda folder: repeat(clip, folder / "long.mp4", 120)) / "long.mp4"


@pytest.fixture(scope="session")
def reported(once) -> Path:
    """A results folder with the run of `make_run` and its report; to be copied before it is changed."""

    def make(folder: Path) -> None:
        from crowdmood.report import build_report
        from crowdmood.results import Run
        from tests.made_runs import RUN, make_run

        make_run(folder)
        build_report(Run(RUN, folder))

    return once("reported", make)


@pytest.fixture(scope="session")
def crowd_reported(once) -> Path:
    """The same with twelve persons over four minutes and a planted moment: with synchrony, moments and a heat map."""

    def make(folder: Path) -> None:
        from crowdmood.report import build_report
        from crowdmood.results import Run
        from tests.big_runs import BIG, make_big_run

        make_big_run(folder, 12, 240, 2)
        build_report(Run(BIG, folder))

    return once("crowd", make)


@pytest.fixture(scope="session")
def unbroken(once, long_clip):
    """A local run of the long clip (a frame a second, small pictures) that nothing disturbed; never to be changed."""
    import crowdmood

    folder = once("unbroken", lambda folder: crowdmood.analyze(long_clip, results=folder, sample_fps=1.0, imgsz=320))
    (run,) = crowdmood.runs(folder)
    return run
