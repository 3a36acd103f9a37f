"""Kill an analysis again and again, run it again, and compare what comes out with an unbroken one.

    python -m tests.torture --kills 200 --seed 1 --workers 2         or: make torture   (1,000 kills)

Each round analyzes a folder of recordings into a new results folder, with 1 to W processes that scan. At random instants SIGKILL
hits a worker, all workers, a decoder, the parent, or all of them at once; what ended is run again until it is done. Then: no row lost, none double, every final
file equal to the byte, no finished chunk done twice, at most one chunk lost per killed process that scans, and no file, process
or lock left behind.

With --job the same is done to `crowdmood jobs run`: the parent is then the one that hands out recordings, and what hits a worker
may hit the one that has a recording in hand, with all that scan for it.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from tests.processes import alive, descendants, name_of
from tests.quiet import SETTINGS, write_quiet

VICTIMS = ("worker", "workers", "decoder", "parent", "group")
END_S = 15.0  # what a killed parent leaves must have ended by then
MOST_STARTS = 100  # of a round; it would be done after a few
JOB = """
sources = [{sources!r}]
results = {results!r}
reports = []
still_s = 0

[analyze]
workers = {workers}
{settings}

[retry]
times = 1000
pause_s = 0
"""
ENDED_BY_KILLS = ("was killed", "SIGKILL",  # what is said of a recording that lost its decoder, or workers too often;
                  "is being run by another process")  # by a job: until the lease of the one that was killed has ended
# Counts the chunks that are begun: one byte each. The program is the real one; worker processes import this file too.
LAUNCHER = """
import os
import crowdmood.scan as scan
log, look = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT), scan.look
def counted(batches, eyes):
    os.write(log, b'.')
    return look(batches, eyes)
scan.look = counted
if __name__ == '__main__':
    from crowdmood.cli import main
    main()
"""


@dataclass
class Round:
    """One results folder, killed until it is complete. parts: identity of each part that was seen whole."""

    folder: Path
    results: Path
    workers: int
    job: bool = False
    parts: dict[Path, tuple[int, int]] = field(default_factory=dict)
    finished: set[Path] = field(default_factory=set)
    killed: Counter = field(default_factory=Counter)
    scanning_killed: int = 0
    starts: int = 0

    @property
    def log(self) -> Path:
        return self.folder / "begun"

    def command(self) -> list[str]:
        if self.job:
            (self.folder / "night.toml").write_text(JOB.format(sources=str(self.folder.parent / "recordings"), results=str(self.results),
                                                               workers=self.workers, settings=settings()))
            return [sys.executable, str(self.folder / "launcher.py"), "jobs", "run", "night", "--jobs", str(self.folder), "--lease", "1"]
        return [sys.executable, str(self.folder / "launcher.py"), "analyze", str(self.folder.parent / "recordings"), "--results",
                str(self.results), "--workers", str(self.workers), "--no-report", "--quiet", *SETTINGS]

    @property
    def begun(self) -> int:
        """How many chunks were begun so far."""
        return self.log.stat().st_size if self.log.exists() else 0


def settings() -> str:
    """SETTINGS as keys of a job file."""
    pairs = zip((name.removeprefix("--").replace("-", "_") for name in SETTINGS[::2]), SETTINGS[1::2], strict=True)
    return "\n".join(f"{name} = {value if value.replace('.', '').isdigit() else json.dumps(value)}" for name, value in pairs)


def main() -> int:
    """Run the torture; prints the figures, returns 1 where something is wrong."""
    arguments = _arguments()
    chance = random.Random(arguments.seed)
    with TemporaryDirectory(prefix="torture-") as name:
        base = Path(name)
        (base / "recordings").mkdir()
        for number in range(arguments.recordings):
            write_quiet(base / "recordings" / f"talk {number}.mp4", arguments.chunks, 12 * number)
        truth, seconds = unbroken(base, arguments)
        killed: Counter = Counter()
        redone = rounds = starts = 0
        while killed.total() < arguments.kills:
            rounds += 1
            done = play(base / f"round-{rounds}", truth, seconds, chance, arguments, arguments.kills - killed.total())
            killed += done.killed
            redone += done.begun - arguments.recordings * arguments.chunks
            starts += done.starts
            print(f"round {rounds}: {dict(done.killed)}, {done.starts} starts, {done.begun} chunks begun", flush=True)
    print(f"{killed.total()} kills ({', '.join(f'{count} {what}' for what, count in killed.most_common())}) in {rounds} rounds and "
          f"{starts} starts: nothing lost, nothing double, all files equal to the byte; {redone} chunks redone, "
          f"{redone / killed.total():.2f} per kill, {arguments.workers} workers", flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("kills", 200), ("seed", 0), ("workers", 2), ("recordings", 3), ("chunks", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--job", action="store_true", help="over `crowdmood jobs run`")
    return parser.parse_args()


def unbroken(base: Path, arguments: argparse.Namespace) -> tuple[dict[str, str], float]:
    """Content of the final files of a run that nothing disturbs, and how long it took."""
    whole = prepare(base / "unbroken", arguments)
    start = time.monotonic()
    subprocess.run(whole.command(), check=True, env=environment(whole), stdout=subprocess.DEVNULL)
    assert whole.begun == arguments.recordings * arguments.chunks, "the recordings have other chunks than asked for"
    return digests(whole.results), time.monotonic() - start


def prepare(folder: Path, arguments: argparse.Namespace) -> Round:
    (folder / "tmp").mkdir(parents=True)
    prepared = Round(folder, folder / "results", arguments.workers, arguments.job)
    (folder / "launcher.py").write_text(LAUNCHER.format(log=str(prepared.log)))
    return prepared


def environment(one: Round) -> dict[str, str]:
    paths = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"TMPDIR": str(one.folder / "tmp"), "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def play(folder: Path, truth: dict, seconds: float, chance: random.Random, arguments: argparse.Namespace, most: int) -> Round:
    """Kill and start again until the analysis is done, then look at what is there."""
    one = prepare(folder, arguments)
    while True:
        one.starts += 1
        assert one.starts < MOST_STARTS, "it is never done"
        one.workers = chance.randint(1, arguments.workers)
        process = subprocess.Popen(one.command(), env=environment(one), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   start_new_session=True, text=True)
        disturb(one, process, seconds, chance, most)
        says = process.communicate()[1]
        check_nobody_is_left(process)
        check_parts(one)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL or any(words in says for words in ENDED_BY_KILLS), says
        assert "Traceback" not in says, says
    check_end(one, truth, arguments.recordings * arguments.chunks)
    return one


def disturb(one: Round, process: subprocess.Popen, seconds: float, chance: random.Random, most: int) -> None:
    """Kill at random instants until the parent has ended; half of the first kills wait until there is something to lose."""
    if chance.random() < 0.5:
        before = one.begun
        while process.poll() is None and one.begun == before:
            time.sleep(0.01)
        seconds /= 2
    while process.poll() is None and one.killed.total() < most:
        try:
            process.wait(chance.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            kill(one, process, chance)


def kill(one: Round, process: subprocess.Popen, chance: random.Random) -> None:
    below = {pid: name_of(pid) for pid in descendants(process.pid)}
    workers = [pid for pid, name in below.items() if "spawn_main" in name]
    decoders = [pid for pid, name in below.items() if "video.child" in name]
    victim = chance.choice([name for name in VICTIMS if (workers or "worker" not in name) and (decoders or name != "decoder")])
    chosen = {"worker": [chance.choice(workers or [0])], "workers": workers, "decoder": [chance.choice(decoders or [0])],
              "parent": [process.pid], "group": [process.pid, *below]}[victim]
    for pid in chosen:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just ended by itself
    one.killed[victim] += 1
    one.scanning_killed += {"worker": one.workers if one.job else 1, "decoder": 1}.get(victim, max(1, one.workers))


def check_nobody_is_left(process: subprocess.Popen) -> None:
    """Wait for all processes of the session to end, workers and decoders."""
    until = time.monotonic() + END_S
    while left := [pid for pid in in_session(process.pid) if alive(pid)]:
        assert time.monotonic() < until, f"still running: {[name_of(pid) for pid in left]}"
        time.sleep(0.05)


def in_session(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int(entry.joinpath("stat").read_text().rpartition(") ")[2].split()[3]) == session:
                    found.append(int(entry.name))
            except (OSError, ValueError, IndexError):
                continue
    return found


def check_parts(one: Round) -> None:
    """No chunk that was finished is done again, and what was lost is what the killed processes had in hand."""
    now = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in one.results.glob("faces/run=*/part-*.parquet")}
    complete = {path.parent for path in one.results.glob("faces/run=*/faces.parquet")}
    for path, identity in one.parts.items():
        assert path.parent in complete or now.get(path) == identity, f"{path} was finished and is done again"
    one.parts |= now
    one.finished |= {path for path in one.parts if path.parent in complete}
    done = len(one.parts) if not complete else None
    if done is not None:
        assert one.begun - done <= one.scanning_killed, f"{one.begun} chunks begun, {done} done, {one.scanning_killed} lost"


def check_end(one: Round, truth: dict[str, str], chunks: int) -> None:
    found = digests(one.results)
    assert found == truth, sorted(set(found.items()) ^ set(truth.items()))
    assert one.begun - chunks <= one.scanning_killed, f"{one.begun} of {chunks} chunks begun, {one.scanning_killed} at most lost"
    hidden = [path for path in one.results.rglob(".*") if path.suffix != ".lock"]
    assert not hidden and not list((one.folder / "tmp").iterdir()), [*hidden, *(one.folder / "tmp").iterdir()]
    for path in one.results.rglob(".*.lock"):
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    rows = [pq.read_table(path, columns=["status"]).to_pylist() for path in one.results.glob("runs/run=*.parquet")]
    assert rows == [[{"status": "complete"}]] * len([name for name in truth if name.startswith("timeline/run=")]), rows


def digests(results: Path) -> dict[str, str]:
    """The final files (but the runs' rows, which hold clock times) and their content."""
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(results.rglob("*.parquet")) if path.parent.name != "runs"}


if __name__ == "__main__":
    sys.exit(main())
