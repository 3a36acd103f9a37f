"""Which contents are work: new ones, changed ones, failed ones; and when they are tried again."""

import os

import pytest

from crowdmood.options import Options
from crowdmood.scheduling import contents, recordings, turns
from crowdmood.scheduling.ledger import Ledger
from crowdmood.scheduling.recordings import COUNTED, End
from tests.scheduling.job_specs import Clock, job


@pytest.fixture
def clock():
    return Clock(2e9)  # long after the files of the tests were written


@pytest.fixture
def ledger(tmp_path, clock):
    return Ledger(tmp_path / "out", clock)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "in" / name).write_bytes(name.encode() * 1000)
    return tmp_path


def look(ledger, spec, cause="schedule"):
    """What is to be done now, by name."""
    found, growing = contents.identify(ledger, spec, sorted((spec.path.parent / "in").iterdir()), lambda: None)
    assert not growing
    turns.add(ledger, spec.name, "watch")  # makes the job known
    recordings.register(ledger, spec.name, found)
    return {os.path.basename(one.path): one for one in recordings.choose(ledger, spec, [one.run for one in found], cause)}


def end(ledger, spec, recording, outcome, error=None):
    turn = turns.add(ledger, spec.name, "hand")
    turns.begin(ledger, turn)
    return recordings.end_attempt(ledger, spec, recordings.begin_attempt(ledger, turn, recording), End(outcome, error, 1.0))


def test_content_decides_not_the_name(ledger, folder):
    spec = job(folder)
    for one in look(ledger, spec).values():
        end(ledger, spec, one, "done")
    assert look(ledger, spec) == {}
    os.rename(folder / "in" / "a.mp4", folder / "in" / "renamed.mp4")
    (folder / "in" / "copy.mp4").write_bytes((folder / "in" / "b.mp4").read_bytes())
    assert look(ledger, spec) == {}
    (folder / "in" / "b.mp4").write_bytes(b"changed" * 1000)
    assert list(look(ledger, spec)) == ["b.mp4"]


def test_other_options_are_new_work(ledger, folder):
    spec = job(folder)
    for one in look(ledger, spec).values():
        end(ledger, spec, one, "done")
    assert list(look(ledger, job(folder, options=Options(sample_fps=2.0)))) == ["a.mp4", "b.mp4"]


def test_a_file_is_read_again_only_if_its_size_or_time_has_changed(ledger, folder):
    spec, path = job(folder), folder / "in" / "a.mp4"

    def digest() -> str:
        (found,), _ = contents.identify(ledger, spec, [path], lambda: None)
        return found.digest

    first, facts = digest(), path.stat()
    with open(path, "r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert digest() == first
    os.utime(path)
    assert digest() != first


def test_the_look_at_a_large_file_can_be_stopped(ledger, folder):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        contents.digest_of(folder / "in" / "a.mp4", (1, 2, 3), stop)


def test_a_file_that_changes_is_left_out_until_it_is_still(ledger, folder, clock):
    spec, path = job(folder, still_s=10.0), folder / "in" / "a.mp4"
    changed = path.stat().st_ctime
    for age, growing in ((0.5, True), (9.5, True), (10.5, False)):
        clock.time = changed + age
        found, left = contents.identify(ledger, spec, [path], lambda: None)
        assert (len(found), len(left)) == ((0, 1) if growing else (1, 0))


def test_a_time_of_modification_in_the_future_does_not_keep_a_file_out(folder):
    path = folder / "in" / "a.mp4"
    os.utime(path, (4e9, 4e9))
    facts = path.stat()
    assert not contents.is_still(facts, 10.0, facts.st_ctime + 5)
    assert contents.is_still(facts, 10.0, facts.st_ctime + 11)
    assert contents.is_still(facts, 10.0, facts.st_ctime - 3600)  # the clock was put back since


def test_a_file_that_cannot_be_read_is_work_too_so_that_it_is_reported(ledger, folder):
    spec = job(folder)
    found, growing = contents.identify(ledger, spec, [folder / "in" / "gone.mp4", folder / "in" / "a.mp4"], lambda: None)
    assert [one.digest != "" for one in found] == [False, True] and not growing


def test_pauses_grow_up_to_the_longest_and_then_it_is_set_aside(ledger, folder, clock):
    spec = job(folder, retries=4, pause_s=60.0, longest_pause_s=200.0)
    one = look(ledger, spec)["a.mp4"]
    for pause in (60, 120, 200, 200):
        after = end(ledger, spec, one, "failed", "it is broken")
        assert (after.state, after.next_try, after.error) == ("failed", clock.time + pause, "it is broken")
        clock.time += pause - 1
        assert "a.mp4" not in look(ledger, spec) and not recordings.due_again(ledger, spec)
        assert "a.mp4" in look(ledger, spec, "hand")
        clock.time += 1
        assert list(look(ledger, spec)) == ["b.mp4", "a.mp4"], "those that failed come last"
        assert [again.path for again in recordings.due_again(ledger, spec)] == [one.path]
    assert end(ledger, spec, one, "crashed", "killed").state == "set aside"
    clock.time += 1e6
    assert list(look(ledger, spec, "hand")) == ["b.mp4"] and not recordings.due_again(ledger, spec)
    assert recordings.next_try(ledger, spec.name) is None


@pytest.mark.parametrize("outcome", ["stopped", "busy", "cancelled"])
def test_what_is_not_the_recordings_fault_does_not_count(ledger, folder, outcome):
    spec = job(folder, retries=0)
    assert outcome not in COUNTED
    assert end(ledger, spec, look(ledger, spec)["a.mp4"], outcome).failures == 0
    assert "a.mp4" in look(ledger, spec, "hand")


def test_what_was_cancelled_waits_for_the_next_due_time(ledger, folder):
    spec = job(folder)
    end(ledger, spec, look(ledger, spec)["a.mp4"], "cancelled")
    assert [list(look(ledger, spec, cause)) for cause in ("watch", "schedule")] == [["b.mp4"], ["a.mp4", "b.mp4"]]


def test_a_success_forgets_the_failures(ledger, folder):
    spec = job(folder)
    one = look(ledger, spec)["a.mp4"]
    end(ledger, spec, one, "failed", "why")
    after = end(ledger, spec, one, "done")
    assert (after.state, after.failures, after.next_try, after.error) == ("done", 0, None, None)


def test_a_clock_put_back_does_not_lengthen_a_pause(ledger, folder, clock):
    spec = job(folder, longest_pause_s=3600.0)
    end(ledger, spec, look(ledger, spec)["a.mp4"], "failed", "why")
    clock.time -= 1e6
    assert len(recordings.due_again(ledger, spec)) == 1


def test_what_a_process_left_is_settled_once(ledger, folder):
    spec = job(folder, retries=1)
    turn = turns.add(ledger, spec.name, "hand")
    turns.begin(ledger, turn)
    number = recordings.begin_attempt(ledger, turn, look(ledger, spec)["a.mp4"])
    assert [recordings.take_over(ledger, spec), recordings.take_over(ledger, spec)] == [1, 0]
    assert turns.waiting(ledger, spec.name) == turn
    assert [one.failures for one in recordings.due_again(ledger, spec)] == [1], "at once, and as a failure"
    assert recordings.end_attempt(ledger, spec, number, End("done")) is None, "the first process comes too late"
    assert [one.state for one in recordings.due_again(ledger, spec)] == ["failed"]


def test_what_was_set_aside_can_be_revived_by_name(ledger, folder):
    spec = job(folder, retries=0)
    for one in look(ledger, spec).values():
        end(ledger, spec, one, "failed", "why")
    assert recordings.revive(ledger, spec, "c.mp4") == []
    assert [os.path.basename(path) for path in recordings.revive(ledger, spec, "b.mp4")] == ["b.mp4"]
    assert [(one.failures, os.path.basename(one.path)) for one in recordings.due_again(ledger, spec)] == [(0, "b.mp4")]
    assert len(recordings.revive(ledger, spec)) == 1, "the other one; b.mp4 waits already"
