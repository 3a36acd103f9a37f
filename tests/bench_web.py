"""Load on the web application: `python tests/bench_web.py [--viewers 50] [--uploads 5] [--mb 200] [--rounds 6]`.

A clip is made, analyzed and served; so many viewers at once then load its page with everything on it, while so many others send a film
of so many megabytes. Bars: no error, and memory that has not grown by more than 50 MB since the second round.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import crowdmood
from crowdmood.demo import write_clip
from tests.web_load import load, memory_of
from tests.web_server import serving


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    for name, value in (("--viewers", 50), ("--uploads", 5), ("--mb", 200), ("--rounds", 6)):
        parser.add_argument(name, type=int, default=value)
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="crowdmood-web-") as folder:
        clip = Path(folder) / "demo.mp4"
        write_clip(clip)
        crowdmood.analyze(clip, results=Path(folder) / "results", sample_fps=2)
        (run,) = crowdmood.runs(Path(folder) / "results")
        film = Path(folder) / "large.mp4"
        film.write_bytes(clip.read_bytes() + bytes(asked.mb * 1_000_000 - clip.stat().st_size))
        with serving(Path(folder) / "results") as server:
            measure(server, run.id, film, asked)


def measure(server, run: str, film: Path, asked: argparse.Namespace) -> None:
    """Print a line for each round, and the bars."""
    print(f"started: {memory_of(server.process.pid) / 1e6:.0f} MB")
    rounds = []
    for number in range(asked.rounds):
        made = load(server, run, asked.viewers, [film] * asked.uploads)
        rounds.append(made)
        p50, p95 = np.percentile(made.seconds, (50, 95)) * 1000
        print(f"round {number + 1}: {len(made.seconds)} requests, {len(made.wrong)} errors, p50 {p50:.0f} ms, p95 {p95:.0f} ms, "
              f"slowest {max(made.seconds):.1f} s, memory {made.memory / 1e6:.0f} MB", flush=True)
    for wrong in [wrong for made in rounds for wrong in made.wrong][:20]:
        print(wrong)
    grown = (rounds[-1].memory - rounds[min(1, asked.rounds - 1)].memory) / 1e6
    print(f"grown since the second round: {grown:.0f} MB (bar: 50)\n{server.log.read_text()}")


if __name__ == "__main__":
    main()
