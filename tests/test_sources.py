"""From what a user names to recordings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crowdmood.errors import VideoError
from crowdmood.sources import Nothing, expand, look


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


def test_what_is_wrong_with_one_source_does_not_keep_the_others_from_being_searched(folder: Path) -> None:
    (folder / "empty").mkdir()
    found, errors = look(["gone", "sub/deep", "empty", "*.avi", "b.mp4"])
    assert [path.as_posix() for path in found] == ["sub/deep/d.mkv", "b.mp4"]
    assert [(str(error).partition(":")[0], isinstance(error, Nothing)) for error in errors] == [
        ("gone", False), ("empty", True), ("*.avi", True)]


def test_links_that_lead_in_a_circle(folder: Path) -> None:
    Path("sub/self.mp4").symlink_to("self.mp4")
    Path("sub/one").symlink_to("two")
    Path("sub/two").symlink_to("one")
    assert names(["sub"]) == ["sub/c.webm", "sub/deep/d.mkv", "sub/loop/a.MOV", "sub/loop/b.mp4"]
    assert names(["sub/self.mp4"]) == ["sub/self.mp4"]  # named itself: opening it will say what is wrong


def test_a_folder_that_cannot_be_read_is_said_and_the_rest_is_found(folder: Path) -> None:
    locked = folder / "sub" / "deep"
    locked.chmod(0)
    try:
        if os.access(locked, os.R_OK):
            pytest.skip("this user may read everything")
        found, errors = look(["."])
        assert [path.name for path in found] == ["a.MOV", "b.mp4", "c.webm"]
        assert [str(error) for error in errors] == ["sub/deep: the folder cannot be read (Permission denied)"]
    finally:
        locked.chmod(0o755)


def test_odd_names_come_as_they_are(folder: Path) -> None:
    odd = ["a\nb.mp4", "'\".mp4", "é ü.mp4", "..x.mp4", "*.mp4", os.fsdecode(b"\xff.mp4"), " .mp4"]
    (folder / "odd").mkdir()
    for name in odd:
        (folder / "odd" / name).touch()
    assert sorted(path.name for path in expand(["odd"])) == sorted(set(odd) - {"..x.mp4"})  # that one is hidden
    assert [path.name for path in expand([f"odd/{name}" for name in odd])] == odd
