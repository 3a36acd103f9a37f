"""Fifty visitors at once, and five who send films."""

from __future__ import annotations

import shutil

import pytest

from tests.made_runs import RUN
from tests.web_load import load
from tests.web_server import serving

VIEWERS, SENDERS, FILM_BYTES = 50, 5, 20_000_000
GROWN = 64_000_000  # bytes of memory that are no leak: five pieces that are being written, and what allocators keep


@pytest.mark.slow
def test_fifty_viewers_and_five_uploads_at_once(reported, clip, tmp_path):
    results = shutil.copytree(reported, tmp_path / "results")
    film = tmp_path / "film.mp4"
    film.write_bytes(clip.read_bytes() + bytes(FILM_BYTES - clip.stat().st_size))
    with serving(results) as server:
        load(server, RUN, 4, [film])  # what is made once
        rounds = [load(server, RUN, VIEWERS, [film] * SENDERS) for _ in range(2)]
        log = server.log.read_text()
    assert not [wrong for made in rounds for wrong in made.wrong]
    assert len(rounds[0].seconds) > VIEWERS * 5
    assert rounds[1].memory - rounds[0].memory < GROWN
    assert not log
