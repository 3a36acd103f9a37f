"""Fixtures that several test files share."""

from __future__ import annotations

import os
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
def clip(tmp_path_factory) -> Path:
    """The demo clip: 12 s, 1280 x 720, 25 frames a second; a gallery of five faces, then a pan over a group."""
    from crowdmood.demo import write_clip

    path = tmp_path_factory.mktemp("demo") / "demo.mp4"
    write_clip(path)
    return path
