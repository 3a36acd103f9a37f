"""The run that an address names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi import Path as InAddress

from crowdmood.files import identity
from crowdmood.results import Run, status_of
from crowdmood.schemas import TABLES
from crowdmood.staging import committed
from crowdmood.tables import read_run, table_path
from crowdmood.web.refusals import Conflict, NotFound

PATTERN = "[0-9a-f]{12}"
RunId = Annotated[str, InAddress(pattern=f"^{PATTERN}$", description="The run's id.", examples=["ab12cd34ef56"])]


@dataclass(frozen=True)
class FoundRun:
    """run: for its tables. info: its row."""

    run: Run
    info: dict[str, Any]

    @property
    def complete(self) -> bool:
        """Whether there are figures of it."""
        return bool(self.info["status"] == "complete")

    def require_complete(self) -> None:
        """Raises Conflict, a sentence for visitors, where there are none yet."""
        if not self.complete:
            raise Conflict(f"{self.info['recording']} is {status_of(self.info)}: there are no figures of it yet. Start its analysis again on the page Recordings.")

    @property
    def state(self) -> tuple[Any, ...]:
        """What changes when anything in the run's tables does."""
        paths = [path for name in TABLES if (path := self.table(name))]
        try:
            return self.run.id, *map(identity, paths)
        except OSError:
            raise NotFound(f"The run {self.run.id} was changed or deleted just now; ask again.") from None

    def table(self, name: str) -> Path | None:
        """The finished file of one of its tables; None where the run has none."""
        results = Path(self.run.results)
        places = (table_path(folder, name, self.run.id) for folder in (committed(results, self.run.id), results))
        return next((path for path in places if path.is_file()), None)


def _found(request: Request, run: RunId) -> FoundRun:
    results = request.app.state.settings.results
    info = read_run(results, run)
    if info is None:
        raise NotFound(f"There is no run {run} here; it may have been deleted.")
    return FoundRun(Run(run, results), dict.fromkeys(TABLES["runs"].names) | info)  # older files lack the latest columns


Found = Annotated[FoundRun, Depends(_found)]
"""What an operation takes that is about a run. Raises NotFound, ResultsError."""
