"""Due times: none is lost, none is run twice, whatever the clock does."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from crowdmood.scheduling import turns
from crowdmood.scheduling.ledger import Ledger
from tests.scheduling.job_specs import Clock, job

DAY = 86_400.0
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
TWO = 2 * 3600.0  # the time of day at which the job is due


@pytest.fixture
def clock():
    return Clock(START)


@pytest.fixture
def ledger(tmp_path, clock):
    return Ledger(tmp_path, clock)


def states(ledger) -> list[tuple[float, str]]:
    with ledger.reading() as database:
        return [((due - START) / DAY, state) for due, state in database.execute("SELECT due, state FROM turns ORDER BY due")]


def seen_first(ledger, folder, **changes):
    spec = job(folder, schedule="0 2 * * *", **changes)
    assert turns.note_due(ledger, spec) == 0
    return spec


def test_times_before_a_job_was_seen_do_not_count(ledger, clock, tmp_path):
    clock.time = START + 100 * DAY
    seen_first(ledger, tmp_path)
    assert states(ledger) == []


def test_a_due_time_waits_once(ledger, clock, tmp_path):
    spec = seen_first(ledger, tmp_path)
    clock.time = START + TWO - 1
    assert turns.note_due(ledger, spec) == 0
    clock.time = START + TWO
    assert [turns.note_due(ledger, spec), turns.note_due(ledger, spec)] == [1, 0]
    assert turns.waiting(ledger, "nightly").due == START + TWO


@pytest.mark.parametrize(("catch_up", "late_s", "expected"), [
    ("once", 5 * 3600, ["skipped", "skipped", "waiting"]),
    ("all", 5 * 3600, ["waiting", "waiting", "waiting"]),
    ("skip", 5 * 3600, ["skipped", "skipped", "skipped"]),
    ("skip", 60, ["skipped", "skipped", "waiting"])])
def test_missed_times_are_caught_up_as_the_job_says(ledger, clock, tmp_path, catch_up, late_s, expected):
    spec = seen_first(ledger, tmp_path, catch_up=catch_up)
    clock.time = START + 2 * DAY + TWO + late_s  # three nights later
    assert turns.note_due(ledger, spec) == 3
    assert [state for _, state in states(ledger)] == expected


def test_a_time_that_comes_while_another_waits_takes_its_place(ledger, clock, tmp_path):
    spec = seen_first(ledger, tmp_path)
    for day in range(2):
        clock.time = START + day * DAY + TWO
        turns.note_due(ledger, spec)
    assert [state for _, state in states(ledger)] == ["skipped", "waiting"]


def test_a_clock_put_back_repeats_nothing_and_loses_nothing(ledger, clock, tmp_path):
    spec = seen_first(ledger, tmp_path, catch_up="all")
    clock.time = START + TWO
    turns.note_due(ledger, spec)
    clock.time = START - 3 * DAY
    assert turns.note_due(ledger, spec) == 0
    clock.time = START + TWO + 60
    turns.note_due(ledger, spec)
    assert states(ledger).count((TWO / DAY, "waiting")) == 1
    clock.time = START + DAY + TWO
    assert turns.note_due(ledger, spec) == 1


def test_a_clock_that_was_years_ahead_does_not_silence_a_job(ledger, clock, tmp_path):
    clock.time = START + 3000 * DAY  # as a machine without a battery may begin, before it asks for the time
    spec = seen_first(ledger, tmp_path)
    clock.time = START + 3001 * DAY
    turns.note_due(ledger, spec)
    clock.time = START
    turns.note_due(ledger, spec)
    clock.time = START + TWO
    assert turns.note_due(ledger, spec) == 1


def test_many_look_at_once_and_each_time_is_there_once(ledger, clock, tmp_path):
    spec = seen_first(ledger, tmp_path, catch_up="all")
    clock.time = START + 30 * DAY
    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(lambda _: turns.note_due(ledger, spec), range(8)))
    assert sum(new) == 30 == len(states(ledger))


def test_a_turn_that_was_stopped_waits_and_keeps_its_start(ledger, clock, tmp_path):
    turn = turns.add(ledger, "nightly", "watch")
    turns.begin(ledger, turn)
    assert turns.waiting(ledger, "nightly") is None and turns.is_running(ledger, "nightly")
    clock.time += 10
    turns.put_back(ledger, turn)
    assert turns.waiting(ledger, "nightly") == turn
    turns.begin(ledger, turn)
    turns.finish(ledger, turn, "done", found=1, done=1, failed=0)
    with ledger.reading() as database:
        assert tuple(database.execute("SELECT state, started, finished FROM turns").fetchone()) == ("done", START, START + 10)


def test_cancel_drops_what_waits_and_asks_what_runs(ledger):
    running, waiting = turns.add(ledger, "nightly", "hand"), turns.add(ledger, "nightly", "watch")
    turns.begin(ledger, running)
    assert not turns.is_cancelled(ledger, running)
    assert turns.cancel(ledger, "nightly") == 2
    assert turns.is_cancelled(ledger, running) and turns.waiting(ledger, "nightly") is None
    assert turns.cancel(ledger, "other") == 0 and waiting.cause == "watch"
