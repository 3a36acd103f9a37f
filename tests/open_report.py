"""How long a browser needs for the report of a long recording.

    python -m tests.open_report RESULTS [PERSONS] [SECONDS]    an invented run of 200 persons over two hours, kept in RESULTS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from crowdmood.report import build_report
from crowdmood.results import Run
from crowdmood.tables import read_run
from tests.big_runs import BIG, make_big_run
from tests.browser import Browser


def main(results: Path, persons: int = 200, seconds: int = 7200) -> None:
    """Print seconds to build the report, its size, and seconds until it is loaded and laid out, the best of five."""
    if read_run(results, BIG) is None:
        make_big_run(results, persons, seconds)
    began = time.monotonic()
    page = build_report(Run(BIG, results))
    print(f"built in {time.monotonic() - began:.1f} s, {page.stat().st_size / 1e6:.2f} MB")
    for width in (1280, 390):
        times = []
        for _ in range(5):
            with Browser() as browser:
                began = time.monotonic()
                browser.open(page, width)
                browser.evaluate("document.body.offsetHeight")
                times.append(time.monotonic() - began)
        print(f"{width} px: opened in {min(times):.2f} s (best of 5), {max(times):.2f} s (worst)")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
