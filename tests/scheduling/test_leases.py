"""Leases: one owner at a time, also when the owner is killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from crowdmood.scheduling.leases import Leases
from crowdmood.scheduling.ledger import Ledger

TAKE = """
import sys, time
from pathlib import Path
from crowdmood.scheduling.leases import Leases
from crowdmood.scheduling.ledger import Ledger
leases = Leases(Ledger(Path(sys.argv[1])), float(sys.argv[2]))
print(leases.take("job nightly"), flush=True)
time.sleep(300)
"""


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path)


@pytest.fixture
def two(ledger):
    pair = Leases(ledger), Leases(ledger)
    yield pair
    for leases in pair:
        leases.end()


@pytest.fixture
def other(tmp_path):
    """A process that holds the lease for two seconds at a time, and renews it."""
    Ledger(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", TAKE, str(tmp_path), "2"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.communicate()


def test_one_has_it_at_a_time(two):
    first, second = two
    assert first.take("job nightly") and first.take("job nightly")
    assert not second.take("job nightly") and second.take("job other")
    assert first.has("job nightly") and not second.has("job nightly")
    assert second.holder("job nightly").endswith(f":{os.getpid()}")
    second.give_up("job nightly")
    assert first.has("job nightly")
    first.give_up("job nightly")
    assert second.holder("job nightly") is None and second.take("job nightly") and not first.has("job nightly")


def test_the_end_of_a_process_frees_all_that_it_had(two):
    first, second = two
    assert first.take("a") and first.take("b")
    first.end()
    assert second.take("a") and second.take("b")


def test_a_lease_is_renewed_while_its_owner_lives(ledger, other):
    mine = Leases(ledger, 60)
    until = time.monotonic() + 3.5
    while time.monotonic() < until:
        assert not mine.take("job nightly")
        time.sleep(0.1)
    mine.end()


def test_a_killed_owner_is_followed_after_the_lease_has_ended(ledger, other):
    mine = Leases(ledger, 60)
    os.kill(other.pid, signal.SIGKILL)
    assert not mine.take("job nightly")
    until = time.monotonic() + 30
    while not mine.take("job nightly"):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert mine.has("job nightly")
    mine.end()


def test_an_owner_that_was_halted_does_not_get_back_what_another_has_taken(ledger, other):
    mine = Leases(ledger, 60)
    os.kill(other.pid, signal.SIGSTOP)
    until = time.monotonic() + 30
    while not mine.take("job nightly"):
        assert time.monotonic() < until
        time.sleep(0.1)
    os.kill(other.pid, signal.SIGCONT)
    time.sleep(1.5)  # it renews what it has several times
    assert mine.has("job nightly") and mine.holder("job nightly").endswith(f":{os.getpid()}")
    mine.end()


def test_a_lease_ends_with_the_start_of_the_machine_it_was_taken_in(two, ledger):
    first, second = two
    assert first.take("job nightly")
    with ledger.writing() as database:
        database.execute("UPDATE leases SET boot = 'an earlier one'")
    assert not first.has("job nightly") and second.take("job nightly")
