"""From what a user names to recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from crowdmood.errors import VideoError
from crowdmood.sources import expand


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "b.mp4",
        "a.MOV",
        "notes.txt",
        ".hidden.mp4",
        "sub/c.webm",
        "sub/deep/d.mkv",
        ".trash/e.mp4",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(sources: list[str]) -> list[str]:
    return [path.as_posix() for path in expand(sources)]


def test_a_file_is_taken_whatever_its_name(folder: Path) -> None:
    assert names(["notes.txt", "b.mp4"]) == ["notes.txt", "b.mp4"]


def test_a_folder_is_searched_through_and_through(folder: Path) -> None:
    assert names(["."]) == ["a.MOV", "b.mp4", "sub/c.webm", "sub/deep/d.mkv"]


def test_a_pattern_names_files(folder: Path) -> None:
    assert names(["*.mp4"]) == ["b.mp4"]
    assert names(["**/*.webm"]) == ["sub/c.webm"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(folder: Path) -> None:
    Path("talk [final].mp4").touch()
    assert names(["talk [final].mp4"]) == ["talk [final].mp4"]


def test_the_same_recording_comes_once(folder: Path) -> None:
    Path("link.mp4").symlink_to("b.mp4")
    assert names(["b.mp4", "./b.mp4", str(folder / "b.mp4"), "link.mp4", "sub/../b.mp4"]) == ["b.mp4"]


def test_the_order_is_that_of_the_sources(folder: Path) -> None:
    assert names(["sub/deep", "b.mp4", "a.MOV"]) == ["sub/deep/d.mkv", "b.mp4", "a.MOV"]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("gone.mp4", "gone.mp4: there is no such file"),
        ("*.avi", r"\*.avi: no file matches this pattern"),
        ("empty", r"empty: no recordings are in this folder \(looked for .*\.mp4"),
        ("https://example.org/a.mp4", "a URL cannot be analyzed; download the recording first"),
    ],
)
def test_what_names_nothing_is_one_sentence(folder: Path, source: str, sentence: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(VideoError, match=sentence) as raised:
        expand([source])
    assert "\n" not in str(raised.value)


def test_a_broken_link_is_left_to_whoever_opens_it(folder: Path) -> None:
    Path("broken.mp4").symlink_to("nowhere.mp4")
    assert names(["broken.mp4"]) == ["broken.mp4"]
    assert "broken.mp4" not in names(["."])
