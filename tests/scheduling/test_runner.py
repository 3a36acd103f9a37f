"""Jobs that are run, with real workers and real recordings."""

import json
import multiprocessing
import os
import sys
import threading
import time

import pytest

from crowdmood.options import Options
from crowdmood.results import list_runs
from crowdmood.scheduling import history, recordings, turns
from crowdmood.scheduling.attempts import Desk
from crowdmood.scheduling.contents import identify
from crowdmood.scheduling.leases import Leases
from crowdmood.scheduling.ledger import Ledger
from crowdmood.scheduling.runner import leased, run_turn, run_waiting
from crowdmood.scheduling.workers import Pool
from tests.scheduling.job_specs import job
from tests.videos import Clip, write

ODD = "it's\n\"odd\" ../ новый.mp4".replace("/", "∕")


@pytest.fixture(scope="module")
def pool():
    """Workers that all tests of this file share: each takes seconds to load the models."""
    pool = Pool()
    yield pool
    pool.rest(0)


@pytest.fixture
def desk(tmp_path, pool):
    (tmp_path / "in").mkdir()
    ledger = Ledger(tmp_path / "out")
    desk = Desk(ledger, Leases(ledger), pool)
    yield desk
    desk.leases.end()


def run(desk, spec, cause="hand", **how):
    with leased(desk, spec) as ours:
        assert ours
        return run_turn(desk, spec, cause, turns.add(desk.ledger, spec.name, cause) if cause != "retry" else None, **how)


def outcomes(desk) -> list[tuple[str, str]]:
    """Recording and outcome of every attempt, in order of time."""
    return [(os.path.basename(one["recording"]), one["outcome"]) for turn in history.turns_of(desk.ledger, None) for one in turn["attempts"]]


def counts(summary) -> tuple:
    return summary.state, summary.found, summary.done, summary.failed


@pytest.mark.slow
def test_a_job_with_good_broken_equal_and_oddly_named_recordings(desk, tmp_path, caplog):
    caplog.set_level("INFO", "crowdmood")
    folder, note = tmp_path / "in", tmp_path / "alarms"
    write(folder / "good.mp4", Clip())
    (folder / "same.mp4").write_bytes((folder / "good.mp4").read_bytes())
    write(folder / "odd.mp4", Clip(numbers=range(5, 30))).rename(folder / ODD)
    (folder / "broken.mp4").write_bytes(b"no video" * 100)
    alarm = (sys.executable, "-c", "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')", str(note))
    spec = job(tmp_path, retries=1, pause_s=0.0, parallel=2, reports=("minutes",), command=alarm)

    assert counts(run(desk, spec)) == ("some failed", 3, 2, 1)
    assert sorted(outcomes(desk)) == sorted([("broken.mp4", "failed"), ("good.mp4", "done"), (ODD, "done")])
    assert sorted(row["status"] for row in list_runs(tmp_path / "out")) == ["complete", "complete"]
    assert (tmp_path / "out" / "reports" / "jobs" / "nightly" / "minutes.csv").read_text().startswith("run,")
    assert not note.exists()

    assert counts(run(desk, spec, "retry")) == ("some failed", 1, 0, 1)
    message = json.loads(note.read_text())
    assert message["event"] == "recording set aside" and message["recording"].endswith("broken.mp4") and "broken.mp4" in message["error"]
    (folder / "good.mp4").rename(folder / "renamed.mp4")
    assert counts(run(desk, spec)) == ("done", 3, 0, 0)
    assert run_waiting(desk, spec, True) == []

    recordings.revive(desk.ledger, spec)
    assert [counts(summary) for summary in run_waiting(desk, spec, False)] == [("some failed", 1, 0, 1)]
    os.remove(folder / "broken.mp4")
    assert run_waiting(desk, spec, False) == []
    assert ("recording gone" in caplog.text, history.left(desk.ledger, "nightly")) == (True, [])


@pytest.mark.slow
def test_runs_that_were_removed_are_made_again_only_if_asked_for(desk, tmp_path):
    write(tmp_path / "in" / "good.mp4", Clip())
    spec = job(tmp_path)
    assert counts(run(desk, spec)) == ("done", 1, 1, 0)
    for path in (tmp_path / "out").rglob("*run=*.parquet"):
        path.unlink()
    assert counts(run(desk, spec)) == ("done", 1, 0, 0)
    assert counts(run(desk, spec, again=True)) == ("done", 1, 1, 0)
    assert [row["status"] for row in list_runs(tmp_path / "out")] == ["complete"]


@pytest.mark.slow
def test_a_recording_that_takes_too_long_is_ended_and_does_not_block_the_others(desk, tmp_path):
    write(tmp_path / "in" / "a long.mp4", Clip(numbers=list(range(48)) * 250))
    write(tmp_path / "in" / "short.mp4", Clip())
    spec = job(tmp_path)
    assert counts(run(desk, job(tmp_path, sources=(str(tmp_path / "in" / "short.mp4"),)))) == ("done", 1, 1, 0)
    summary = run(desk, job(tmp_path, time_limit_s=0.5, retries=0))
    assert counts(summary) == ("some failed", 2, 0, 1)
    left, = history.left(desk.ledger, spec.name)
    assert left["state"] == "set aside" and "longer than time_limit_s = 0.5" in left["error"]


@pytest.mark.slow
def test_a_worker_that_is_killed_is_an_outcome_and_another_goes_on(desk, tmp_path):
    for number in range(2):
        write(tmp_path / "in" / f"{number}.mp4", Clip(numbers=range(number, 48)))
    fresh, before = Desk(desk.ledger, desk.leases, Pool()), set(multiprocessing.active_children())

    def kill() -> None:
        until = time.monotonic() + 60
        while not (new := set(multiprocessing.active_children()) - before) and time.monotonic() < until:
            time.sleep(0.01)
        new.pop().kill()

    threading.Thread(target=kill).start()
    summary = run(fresh, job(tmp_path))
    fresh.pool.rest(0)
    assert counts(summary) == ("some failed", 2, 1, 1)
    assert outcomes(desk) == [("0.mp4", "crashed"), ("1.mp4", "done")]


def test_a_source_that_is_missing_fails_the_turn_and_is_told_once(desk, tmp_path, caplog):
    caplog.set_level("INFO", "crowdmood")
    spec = job(tmp_path, sources=(str(tmp_path / "nowhere"),), watch=True)
    assert counts(run(desk, spec, "schedule"))[0] == "failed"
    summaries = [run_waiting(desk, spec, True) for _ in range(3)]
    assert [len(one) for one in summaries] == [1, 0, 0] and "there is no such file" in summaries[0][0].error
    assert run(desk, job(tmp_path)).state == "done", "an empty folder is no failure"


def test_a_model_that_is_missing_fails_the_turn(desk, tmp_path):
    write(tmp_path / "in" / "good.mp4", Clip())
    summary = run(desk, job(tmp_path, options=Options(expression=str(tmp_path / "nowhere"))))
    assert summary.state == "failed" and "no model in" in summary.error


def test_a_job_that_another_process_runs_is_left_alone(desk, tmp_path):
    write(tmp_path / "in" / "good.mp4", Clip())
    other = Leases(desk.ledger)
    assert other.take("job nightly")
    assert run_waiting(desk, job(tmp_path), True) == []
    with leased(desk, job(tmp_path)) as ours:
        assert not ours
    assert other.has("job nightly")
    other.end()


def test_a_recording_that_another_job_is_at_is_put_off(desk, tmp_path):
    write(tmp_path / "in" / "good.mp4", Clip())
    spec, other = job(tmp_path), Leases(desk.ledger)
    found, _ = identify(desk.ledger, spec, [tmp_path / "in" / "good.mp4"], lambda: None)
    assert other.take(f"recording {found[0].run}")
    assert counts(run(desk, spec)) == ("done", 1, 0, 0)
    assert outcomes(desk) == [] and recordings.next_try(desk.ledger, spec.name) > time.time() + 50
    other.end()


def test_what_stops_before_it_begins_waits(desk, tmp_path):
    write(tmp_path / "in" / "good.mp4", Clip())
    desk.stop.set()
    summary = run(desk, job(tmp_path), "schedule")
    assert summary.state == "waiting" and turns.waiting(desk.ledger, "nightly") == summary.turn
    desk.stop.clear()


def test_a_cancelled_turn_ends_and_its_recordings_wait_for_the_next(desk, tmp_path):
    write(tmp_path / "in" / "good.mp4", Clip())
    spec = job(tmp_path)
    turn = turns.add(desk.ledger, spec.name, "schedule")
    with desk.ledger.writing() as database:
        database.execute("UPDATE turns SET cancel = 1")
    with leased(desk, spec):
        assert run_turn(desk, spec, "schedule", turn).state == "cancelled"
    assert outcomes(desk) == [] and not turns.is_running(desk.ledger, spec.name)
