"""Who does the work, on many machines: the tasks of an executor as tasks of a Ray cluster.

    work --put once--> object store --by every node once--> do(work, [task]) in a worker process --> its outcomes

Only the work's description and counts travel: what a task makes, it writes itself to where all machines can read it.
A task whose worker process or node dies is begun anew on another one.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from warnings import catch_warnings

from crowdmood import __version__
from crowdmood.allocator import steady_memory
from crowdmood.errors import CrowdmoodError
from crowdmood.executors import Outcome, Task, Work

AHEAD = 2  # tasks handed over for each that can run: a worker that has done one finds the next
RETRIES = 5  # how often a task whose worker or node died is begun anew
LOOK_S = 0.2
COUNT_S = 3.0  # how often the cluster is asked how large it is
PATIENCE_S = 900.0  # how long is waited for a node that can run a task at all: autoscalers take their time
FIRST_ANSWER_S = 8.0
# Before Ray is loaded, which warns of what is to come one day.
QUIET = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
HOST = re.compile(r"(?:ray://)?(?P<host>\[[^]]+\]|[^:/]+):(?P<port>\d+)")


@dataclass(frozen=True)
class Place:
    """A cluster and what a task takes of it.

    address: 'auto' (the cluster this machine belongs to), 'local' (one on this machine, for this process), host:port,
    ray://host:port, None for $RAY_ADDRESS or 'auto'; cpus: cores per task; gpus: part of a GPU per task, 0..1.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0


class Queue:
    """How the recordings of this process share the cluster: the first come has the first claim on free places.

    So recordings are finished one after the other, and the next ones are scanned while the first are linked.
    """

    def __init__(self) -> None:
        self.changed = threading.Lock()
        self.numbers = itertools.count()
        self.running: dict[int, int] = {}
        self.waiting: set[int] = set()
        self.stopped = threading.Event()

    def room(self, own: int, most: int) -> int:
        """How many more tasks recording `own` may hand over, if `most` may be with the cluster at a time."""
        with self.changed:
            first = not any(number < own for number in self.waiting)
            return max(0, most - sum(self.running.values())) if first else 0

    def note(self, own: int, running: int, waiting: int) -> None:
        """Remember how many tasks of a recording are with the cluster, and how many are not yet."""
        with self.changed:
            self.running[own] = running
            (self.waiting.add if waiting else self.waiting.discard)(own)

    def leave(self, own: int) -> None:
        with self.changed:
            self.running.pop(own, None)
            self.waiting.discard(own)

    def look_up(self, seconds: float) -> None:
        """Wait. Raises KeyboardInterrupt after `stop`."""
        if self.stopped.wait(seconds):
            raise KeyboardInterrupt


queue = Queue()


def on_ray(work: Work, tasks: Sequence[Task], workers: int | None, place: Place = Place()) -> Iterator[Outcome]:
    """Do the tasks on a cluster, as many at a time as it has room for, or at most `workers`.

    Outcomes come in any order. Leaving early cancels what runs. Raises CrowdmoodError when the cluster cannot be
    reached or has no room for even one task, and whatever a task raises.
    """
    connect(place)
    import ray

    task_of = ray.remote(max_retries=RETRIES, max_calls=0, num_cpus=place.cpus, num_gpus=place.gpus,
                         **_environment(place))(do)
    held, line = ray.put(work), queue
    own, left, running = next(line.numbers), deque(tasks), []
    line.note(own, 0, len(left))
    fits = time.monotonic()  # when there was a node that can run a task
    try:
        while left or running:
            room = slots(place)
            fits = time.monotonic() if room else fits
            if time.monotonic() - fits > PATIENCE_S:
                raise CrowdmoodError(f"no node of the Ray cluster has {_asked(place)} for a task; ask for less (--threads, --gpus) "
                                     "or add a node, then run the same command again")
            for _ in range(min(len(left), line.room(own, workers or AHEAD * max(room, 1)))):
                running.append(task_of.remote(held, left.popleft()))
            line.note(own, len(running), len(left))
            done, running = _next_done(running, line)
            for one in done:
                yield from _outcomes(one)
    finally:
        line.leave(own)
        for one in running:
            ray.cancel(one, force=True)


def do(work: Work, task: Task) -> list:
    """One task, in a worker process, which does many tasks one after the other."""
    _steady_once()
    return list(work([task]))


def slots(place: Place) -> int:
    """How many tasks the cluster has room for, all nodes together. Raises CrowdmoodError when it cannot be reached."""
    connect(place)
    return _counted(place, int(time.monotonic() / COUNT_S))


def stop() -> None:
    """Make every recording of this process that is on the cluster end at once, by KeyboardInterrupt in its thread."""
    global queue
    stopped, queue = queue, Queue()
    stopped.stopped.set()


def disconnect() -> None:
    """Leave the cluster; one that was started for this process ends."""
    import ray

    ray.shutdown()


def node_name() -> str:
    """The node on which this task runs, in words."""
    import ray

    return f"{socket.gethostname()} ({ray.util.get_node_ip_address()})"


def own_gpu() -> int | None:
    """Which of the GPUs that this worker process can see was given to the task that runs; None when none was."""
    import ray

    given = ray.get_runtime_context().get_accelerator_ids().get("GPU")
    if not given:
        return None
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return seen.split(",").index(given[0]) if seen else int(given[0])


def connect(place: Place) -> None:
    """Connect this process with the cluster, once. Raises CrowdmoodError, in one sentence, when that fails."""
    address = place.address or os.environ.get("RAY_ADDRESS") or "auto"
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if address == "local" and not any(name.startswith("RAY_AUTH") for name in os.environ):
        # Nobody else is to send it work; and else Ray writes a token into the user's home for all clusters to come.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    try:
        import ray
    except ImportError as error:
        raise CrowdmoodError("--executor ray needs Ray; `pip install 'crowdmood[ray]'`, here and on every node") from error
    if ray.is_initialized():
        return
    local = {"include_dashboard": False, "num_cpus": len(os.sched_getaffinity(0))} if address == "local" else {}
    try:
        _listens(address)
        with _own_signals(), catch_warnings(action="ignore"):
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **local)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        ray.shutdown()
        raise CrowdmoodError(_reason(error, address)) from error


@cache
def _counted(place: Place, when: int) -> int:
    import ray

    wanted = {name: size for name, size in (("CPU", place.cpus), ("GPU", place.gpus)) if size}
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(min(int(has.get(name, 0) / size) for name, size in wanted.items()) for has in alive)


def _next_done(running: list, line: Queue) -> tuple[list, list]:
    """Wait a little for tasks to end: those that have, and those that have not. Raises KeyboardInterrupt after `stop`."""
    import ray

    line.look_up(0 if running else LOOK_S)
    if not running:
        return [], running
    return ray.wait(running, num_returns=1, timeout=LOOK_S)


def _outcomes(one) -> list:
    """What a task gave. Raises what it raised, without Ray's wrapping."""
    import ray

    try:
        return ray.get(one)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, CrowdmoodError):
            raise error.cause from None
        if lacks := re.search("No module named '([^']+)'", str(error)):
            raise CrowdmoodError(f"a node of the Ray cluster lacks '{lacks[1]}'; install crowdmood {__version__} with all it "
                                 "needs on every node") from error
        raise
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError) as error:
        raise CrowdmoodError(f"a chunk lost its worker process {RETRIES + 1} times, most likely for lack of memory; run the "
                             "same command again to go on, with fewer tasks on a machine (--threads 2)") from error
    except ray.exceptions.RayError as error:
        raise CrowdmoodError(f"Ray: {_one_line(error)}; run the same command again to go on") from error


def _environment(place: Place) -> dict:
    """With GPUs: let a worker see all of its machine's. CUDA looks once, and the worker's next task may be given another."""
    return {"runtime_env": {"env_vars": {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}}} if place.gpus else {}


@cache
def _steady_once() -> None:
    steady_memory()


def _listens(address: str) -> None:
    """Raise OSError when nothing listens there; Ray itself tries for a minute."""
    if found := HOST.fullmatch(address):
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), timeout=FIRST_ANSWER_S).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this program's answer to SIGTERM, which Ray replaces by its own."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _reason(error: Exception, address: str) -> str:
    text = _one_line(error)
    if versions := re.findall(r"(Ray|Python): (\S+)", text):
        (_, ray), (_, python), (_, own_ray), (_, own_python) = (versions + versions)[:4]
        return (f"the Ray cluster {address} runs Ray {ray} with Python {python}, and this is Ray {own_ray} with Python "
                f"{own_python}; both must be the same")
    if "AuthToken" in f"{error} {error.__cause__}":
        return f"the Ray cluster {address} wants its token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH)"
    if isinstance(error, ConnectionError) and address == "auto":
        return ("no Ray cluster runs on this machine; start one (`ray start --head`), name one (--ray-address "
                "ray://HOST:10001), or use --ray-address local")
    return f"the Ray cluster {address} cannot be reached ({text}); check the address and that the head node runs"


def _asked(place: Place) -> str:
    return f"{place.cpus} CPU{'s' * (place.cpus > 1)}" + (f" and {place.gpus:g} GPU" if place.gpus else "")


def _one_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:300]
