"""Who does the work: this process, or worker processes.

An executor is a function (work, tasks, workers) -> Iterator[Outcome]. ``work`` takes a list of tasks and yields an
outcome for each, in their order; it must be picklable for ``processes``. The outcomes come in any order.
"""

from __future__ import annotations

import logging
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from crowdmood.errors import CrowdmoodError
from crowdmood.workers import DIED, ERROR, OUTCOME, Worker, dismiss, hire, tell

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")
Work = Callable[[Sequence[Task]], Iterator[Outcome]]

SHARES = 3  # a worker is given this part of its share of what is left: neighbours stay together, yet all end together
TRIES = 3  # workers that one task may cost


def serial(work: Work, tasks: Sequence[Task], workers: int = 1) -> Iterator[Outcome]:
    """Do all tasks in this process, in order."""
    yield from work(tasks)


def processes(work: Work, tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """Do the tasks in ``workers`` processes.

    Where one is killed, as by a system without memory, another does what it had left; from the second death on there
    is one less. Raises CrowdmoodError when one task has cost TRIES workers, and whatever ``work`` raises; what the
    others are doing then is dropped at once.
    """
    left = deque(range(len(tasks)))
    deaths: Counter[int] = Counter()
    team: list[Worker] = []
    try:
        while _employ(team, left, max(1, workers - max(0, deaths.total() - 1)), work, tasks):
            for worker in tell(team):
                for kind, what in worker.messages():
                    if kind == OUTCOME:
                        worker.todo.popleft()
                        yield what
                        continue
                    if kind == DIED:
                        team.remove(worker)
                        _count_death(deaths, worker.todo[0], what, work, tasks)
                        left.extendleft(reversed(worker.todo))
                    if kind == ERROR:
                        raise what
    finally:
        dismiss(team)


def _employ(team: list[Worker], left: deque[int], wanted: int, work: Work, tasks: Sequence[Task]) -> bool:
    """Give each idle worker its share of the tasks that are left, or let it go. Returns whether anybody is at work."""
    while len(team) < min(wanted, len(team) + len(left)):
        team.append(hire())
        _give_share(team[-1], left, wanted, work, tasks)
    for worker in [worker for worker in team if not worker.busy]:
        if left:
            _give_share(worker, left, wanted, work, tasks)
        else:
            team.remove(worker)
            dismiss([worker])
    return bool(team)


def _give_share(worker: Worker, left: deque[int], workers: int, work: Work, tasks: Sequence[Task]) -> None:
    size = max(1, len(left) // (SHARES * workers))
    worker.give(work, tasks, [left.popleft() for _ in range(size)])


def _count_death(deaths: Counter[int], number: int, exit_code: int | None, work: Work, tasks: Sequence[Task]) -> None:
    """Say that a worker died at a task. Raises CrowdmoodError when there is no going on."""
    deaths[number] += 1
    if exit_code is None or exit_code >= 0:
        raise CrowdmoodError(f"worker processes end with code {exit_code} before they work; in a script, calls that use workers "
                             'must stand behind `if __name__ == "__main__":`')
    killed = exit_code == -signal.SIGKILL
    how = "was killed, most likely for lack of memory" if killed else f"died of {signal.Signals(-exit_code).name}"
    if deaths[number] == TRIES:
        raise CrowdmoodError(f"{work}: a worker process {how}, {TRIES} times at the same place ({tasks[number]}); "
                             "run the same command again to go on, with fewer --workers")
    logging.getLogger("crowdmood").warning("%s: a worker process %s; another one goes on with what it had", work, how)


EXECUTORS = {"serial": serial, "processes": processes}
