"""A person erased from a meeting is gone from its own tables, too: from tiles, from what was said, and from the names."""

from __future__ import annotations

from pathlib import Path

from crowdmood import catalog
from crowdmood.erasure import erase
from crowdmood.results import Run
from tests.made_meetings import make_meeting, write
from tests.made_runs import RUN

GONE = 2


def rows(results: Path, query: str) -> list[tuple]:
    return [tuple(row.values()) for row in catalog.fetch(results, query).to_pylist()]


def test_an_erased_person_is_gone_from_every_table_of_a_meeting(tmp_path):
    make_meeting(tmp_path, names={1: "Ada", GONE: "Bob", 3: "Eve"})
    before = rows(tmp_path, "SELECT segment, tile, x1 FROM tiles ORDER BY ALL")
    others = rows(tmp_path, f"SELECT * FROM speech WHERE speaker != {GONE} ORDER BY ALL")
    assert rows(tmp_path, f"SELECT kind FROM speech WHERE speaker = {GONE}")
    erase(Run(RUN, tmp_path), [GONE])
    for table in ("faces", "persons", "tiles", "spotlights", "speech"):
        assert rows(tmp_path, f"SELECT count(*) FROM {table} WHERE person = {GONE}") == [(0,)]
    assert rows(tmp_path, "SELECT segment, tile, x1 FROM tiles ORDER BY ALL") == before, "the tiles are still in the picture"
    assert rows(tmp_path, "SELECT * FROM speech ORDER BY ALL") == others
    assert rows(tmp_path, "SELECT number, name FROM names ORDER BY number") == [(1, "Ada"), (3, "Eve")]


def test_who_shares_a_tile_with_an_erased_person_stays_in_it(tmp_path):
    make_meeting(tmp_path)
    [(tile,)] = rows(tmp_path, "SELECT tile FROM tiles WHERE segment = 1 AND person = 1")
    together = catalog.fetch(tmp_path, f"SELECT * EXCLUDE (run) REPLACE (CASE WHEN segment = 1 AND person = {GONE} THEN {tile} ELSE tile END AS tile) "
                                       "FROM tiles ORDER BY segment, tile, person")
    write(tmp_path, "tiles", RUN, {name: together[name].to_pylist() for name in together.column_names})
    erase(Run(RUN, tmp_path), [GONE])
    assert rows(tmp_path, f"SELECT person FROM tiles WHERE segment = 1 AND tile = {tile}") == [(1,)]
