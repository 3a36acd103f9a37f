"""Questions of visitors, in SQL or by a report's name, each answered by a process of its own, few at a time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from crowdmood.errors import ResultsError
from crowdmood.query_limits import GRACE_S
from crowdmood.web.refusals import Busy
from crowdmood.web.settings import WebSettings

FILE_ROWS = 5_000_000
# What the process is told of this one's surroundings: no tokens, no keys.
TOLD = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "XDG_CACHE_HOME", "MPLCONFIGDIR", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Question:
    """query: SQL; or name: of a report that ships, and values: of its parameters, as text. run: over which run alone, '' over all.
    form: 'rows', to be shown (`rows` of them at most, with their chart where `chart`), or 'csv', 'json', 'parquet': the whole answer.
    """

    query: str = ""
    name: str = ""
    values: dict[str, str] = field(default_factory=dict)
    run: str = ""
    form: str = "rows"
    rows: int = 1000
    chart: bool = False


class Questions:
    """Who asks while others are answered waits for a place; too many who wait are sent away."""

    def __init__(self, settings: WebSettings) -> None:
        self.settings = settings
        self.places = asyncio.Semaphore(settings.queries)
        self.waiting = 0

    async def shown(self, question: Question) -> dict[str, Any]:
        """columns (name, type), rows, more (whether there are others), chart (SVG or None). Raises ResultsError, Busy."""
        file = self._new_file()
        try:
            await self.write(question, file)
            said: dict[str, Any] = await asyncio.to_thread(lambda: json.loads(file.read_text(encoding="utf-8")))
            return said
        finally:
            file.unlink(missing_ok=True)

    async def write(self, question: Question, file: Path) -> None:
        """Answer into a file. Raises ResultsError, a sentence that says what is wrong with the question; Busy."""
        settings = self.settings
        asked = asdict(question) | {"results": str(settings.results), "file": str(file), "limit_s": settings.query_s, "at_once": settings.queries}
        async with self._place():
            await _answered(json.dumps(asked).encode(), settings.query_s)

    def file_of(self, question: Question) -> Path:
        """Where the answer may be written to."""
        return self._new_file(f".{question.form}")

    def _new_file(self, ending: str = "") -> Path:
        descriptor, name = mkstemp(ending, "crowdmood-answer-")
        os.close(descriptor)
        return Path(name)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self.places.locked() and self.waiting >= self.settings.query_queue:
            raise Busy("Too many questions are waiting for their answers; ask again in a moment.", 5)
        self.waiting += 1
        try:
            await self.places.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self.places.release()


async def _answered(asked: bytes, limit_s: float) -> None:
    environment = {name: os.environ[name] for name in TOLD if name in os.environ}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "crowdmood.web.questions.asking", env=environment, stdin=asyncio.subprocess.PIPE,
                                                   stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    try:
        _, said = await asyncio.wait_for(process.communicate(asked), limit_s + 4 * GRACE_S)
    except TimeoutError:
        raise ResultsError(f"the query took longer than {limit_s:g} s and was ended") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode:
        raise _failure(said.decode(errors="replace"), process.returncode)


def _failure(said: str, status: int) -> Exception:
    """What went wrong, from the last words of the process."""
    sentence = said.rpartition("crowdmood: ")[2].partition("; time-limit")[0].partition("; --time-limit")[0].strip() if "crowdmood: " in said else ""
    if sentence and status == 1:
        return ResultsError(sentence)
    if status < 0 or "MemoryError" in said or "bad_alloc" in said:
        return ResultsError("the answer needs more memory than a question may take here; ask for fewer rows or shorter values")
    return RuntimeError(f"a question could not be answered: {said[-2000:]}")
