"""Job files: `jobs/NAME.toml` says what is analyzed, how, into which results, and when.

A file is checked as a whole when it is read; nothing in it is ignored.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crowdmood.errors import CrowdmoodError, JobError
from crowdmood.options import Execution, Options
from crowdmood.results import results_folder
from crowdmood.s3 import S3Folder
from crowdmood.scheduling.keys import check_keys, check_report, did_you_mean
from crowdmood.shipped import shipped
from crowdmood.sources import beside

DEFAULT_FOLDER = "jobs"


@dataclass(frozen=True)
class JobSpec:
    """A job file, checked; the defaults are those of the file.

    name: the file's, without its ending; path: the file, in whose folder relative paths begin. sources: files, folders and
    patterns (absolute), s3:// addresses; reports: 'html', names of SQL reports, .sql files (absolute); schedule: the five
    fields of cron, None where nothing is due by itself; watch: take new files once their size has been still for still_s,
    looking every poll_s; catch_up: what is done about due times that were missed; retries: how often a recording that failed
    is tried again, after pause_s at first, twice that the next time, at most longest_pause_s; time_limit_s: per recording;
    parallel: recordings at once; webhook, command: what is told of failures.
    """

    name: str
    path: Path
    sources: tuple[str, ...]
    results: Path | S3Folder
    options: Options = field(default_factory=Options)
    execution: Execution = field(default_factory=Execution)
    reports: tuple[str, ...] = ("html",)
    schedule: str | None = None
    time_zone: str = "UTC"
    watch: bool = False
    still_s: float = 10.0
    poll_s: float = 10.0
    catch_up: str = "once"
    retries: int = 3
    pause_s: float = 60.0
    longest_pause_s: float = 3600.0
    time_limit_s: float | None = None
    parallel: int = 1
    webhook: str | None = None
    command: tuple[str, ...] = ()


def jobs_folder(given: str | Path | None = None) -> Path:
    """The folder of job files: the one given, else $CROWDMOOD_JOBS, else ./jobs; absolute."""
    return Path(given or os.environ.get("CROWDMOOD_JOBS") or DEFAULT_FOLDER).absolute()


def list_jobs(folder: str | Path | None = None) -> tuple[list[JobSpec], list[JobError]]:
    """The jobs of a folder (None: `jobs_folder`) by name, and what is wrong with the files that cannot be read.

    A folder that is not there has no jobs.
    """
    specs, errors = [], []
    for path in _files(jobs_folder(folder)):
        try:
            specs.append(read_job(path))
        except JobError as error:
            errors.append(error)
    return specs, errors


def list_examples() -> list[JobSpec]:
    """The jobs that ship."""
    return [read_job(path) for path in _files(shipped("jobs"))]


def find_job(name: str, folder: str | Path | None = None) -> JobSpec:
    """The job of this name in the folder, else the example of this name that ships.

    Raises JobError, with the known names, when there is none, or when its file is wrong.
    """
    own, examples = _files(jobs_folder(folder)), _files(shipped("jobs"))
    for path in (*own, *examples):
        if path.stem == name:
            return read_job(path)
    where = jobs_folder(folder) if own else f"{jobs_folder(folder)}, which holds none, nor among the examples"
    raise JobError(f"no job is called '{name}' in {where}{did_you_mean(name, [path.stem for path in own or examples])}")


def read_job(path: str | Path) -> JobSpec:
    """A job from its file. Raises JobError, one sentence that begins with the file's name, when anything is wrong with it."""
    path = Path(path).absolute()
    table = _table(path)
    try:
        return _spec(path, check_keys(table))
    except CrowdmoodError as error:
        raise JobError(f"{path.name}: {error}".replace("\n", " ")) from error


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise JobError(f"{path.name}: it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise JobError(f"{path.name}: it is not text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (line \d+|end of document).*\)", str(error))
        what, where = found.groups() if found else (str(error), "")
        line = f", {where}" if where.startswith("line") else ", at its end" if where else ""
        raise JobError(f"{path.name}{line}: {what[:1].lower()}{what[1:]}") from error


def _spec(path: Path, values: dict[str, Any]) -> JobSpec:
    """The job, its paths made absolute, and what hangs together checked."""
    if "sources" not in values:
        raise JobError("it does not say what to analyze; write, for example, sources = [\"../recordings\"]")
    if values.get("watch") and "schedule" in values:
        raise JobError("'watch' takes recordings as they come, 'schedule' at set times; keep one of the two")
    sources = tuple(beside(path.parent, source) for source in values.pop("sources"))
    if "reports" in values:
        own = (beside(path.parent, name) if name.endswith(".sql") else name for name in values["reports"])
        values["reports"] = tuple(dict.fromkeys(map(check_report, own)))
    results = results_folder(beside(path.parent, values.pop("results")) if "results" in values else None)
    chosen = {kind: folder for kind in ("detector", "expression") if (folder := getattr(values["options"], kind))}
    values["options"] = replace(values["options"], **{kind: beside(path.parent, folder) for kind, folder in chosen.items()})
    spec = JobSpec(path.stem, path, sources, results, **values)
    if spec.pause_s > spec.longest_pause_s:
        raise JobError(f"[retry] pause_s ({spec.pause_s:g}) is longer than longest_pause_s ({spec.longest_pause_s:g})")
    return spec
