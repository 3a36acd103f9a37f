"""Speed of questions over many recordings, and bytes on disk: `make bench-sql`.

    python tests/bench_sql.py [--faces 100000000] [--runs 400] [--folder FOLDER]

Writes invented runs (some made, each of them repeated under other ids: files of their own, with the same distributions), asks, and
prints figures beside their bars; where a bar is missed, the query's plan too. FOLDER is kept and taken up again; without it, a
temporary one. Warm: the second of two equal questions, each over a connection of its own, as `crowdmood sql` asks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import track

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from crowdmood import catalog, tables  # noqa: E402
from crowdmood.row_groups import write_table
from crowdmood.schemas import TABLES  # noqa: E402
from crowdmood.sql_reports import find_report  # noqa: E402
from tests.big_runs import make_big_run  # noqa: E402

ORIGINALS = 8
FPS, PERSONS, PRESENT = 5, 40, 2 / 3  # of made runs
HAPPIEST = "SELECT second // 60 AS minute, sum(happy * usable_faces) / sum(usable_faces) AS happy FROM timeline " \
           "WHERE usable_faces > 0 GROUP BY minute ORDER BY happy DESC LIMIT 1"
ONE_PERSON = "SELECT avg(happy), count(*) FROM faces WHERE person = 7 AND usable AND time_s BETWEEN 600 AND 660"


def make(folder: Path, faces: int, runs: int) -> None:
    """Write as many runs as there are not yet."""
    seconds = faces / runs / (FPS * PERSONS * PRESENT)
    originals = min(ORIGINALS, runs)
    for number in track(range(runs), f"{runs} runs", disable=not sys.stderr.isatty()):
        run = name(number)
        if tables.table_path(folder, "runs", run).exists():
            continue
        if number < originals:
            make_big_run(folder, PERSONS, seconds, FPS, seed=number, run=run, recording=f"night{number}.mp4", moving=True)
        else:
            copy(folder, name(number % originals), run, f"night{number}.mp4")


def name(number: int) -> str:
    return f"{number:04d}ab12cd34"


def copy(folder: Path, original: str, run: str, recording: str) -> None:
    """The tables of a run under another id; its row last."""
    for table, schema in sorted(TABLES.items(), key=lambda item: item[0] == "runs"):
        rows = pq.ParquetFile(tables.table_path(folder, table, original)).read()
        new = {"run": run} | ({"recording": recording} if table == "runs" else {})
        for column, text in new.items():
            values = pa.array([text] * len(rows)).cast(schema.field(column).type) if table == "runs" else \
                pa.DictionaryArray.from_arrays(np.zeros(len(rows), np.int32), [text])
            rows = rows.set_column(rows.column_names.index(column), schema.field(column), values)
        path = tables.table_path(folder, table, run)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, schema, [rows])


def warm(ask: Callable[[], object], turns: int = 5) -> float:
    """Seconds of a question that was just asked, median of some turns."""
    ask()
    took = []
    for _ in range(turns):
        began = perf_counter()
        ask()
        took.append(perf_counter() - began)
    return median(took)


def report_line(what: str, value: float, bar: float | None, unit: str) -> bool:
    """Print a figure beside its bar; whether the bar is met."""
    met = bar is None or value <= bar
    print(f"{what:58} {value:10.3f} {unit:8} {'' if bar is None else f'bar {bar:g}: ' + ('met' if met else 'MISSED')}", flush=True)
    return met


def measure(folder: Path) -> None:
    """Ask and print."""
    run, minutes = name(3), find_report("minutes")
    rows = catalog.fetch(folder, "SELECT count(*) AS n FROM faces")["n"][0].as_py()
    runs = catalog.fetch(folder, "SELECT count(*) AS n FROM runs")["n"][0].as_py()
    size = sum(path.stat().st_size for path in folder.glob("faces/*/*.parquet"))
    threads = catalog.fetch(folder, "SELECT current_setting('threads') AS n")["n"][0].as_py()
    print(f"{rows:,} faces of {runs} recordings, {size / 1e9:.2f} GB; DuckDB on {threads} threads")
    report_line("bytes a face on disk", size / rows, 40, "bytes")
    values = minutes.values({})
    questions = (
        ("mood per minute over all recordings (report minutes)", minutes.sql, None, values, 1.0),
        ("happiest minute of one run", HAPPIEST, run, None, 0.1),
        ("one person's minute of one run, from faces", ONE_PERSON, run, None, 0.1),
        ("happiest second and minute of one run (report happiest)", find_report("happiest").sql, run, None, None),
        ("all recordings, by run: faces, counted one by one", "SELECT run, count(*) FROM faces GROUP BY run", None, None, None),
        ("mean happy over every face", "SELECT avg(happy) FROM faces WHERE usable", None, None, None),
    )
    for what, sql, one, bound, bar in questions:
        if not report_line(what, warm(lambda: catalog.fetch(folder, sql, one, bound)), bar, "s"):
            print(catalog.connect(folder, one).execute("EXPLAIN ANALYZE " + sql, bound or {}).fetchall()[0][1])
    report_line("opening the catalog (part of each question)", warm(lambda: catalog.connect(folder).close()), None, "s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000_000)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        make(folder, given.faces, given.runs)
        measure(folder)


if __name__ == "__main__":
    main()
