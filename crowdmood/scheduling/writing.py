"""New job files, made from the examples that ship."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from zoneinfo import ZoneInfo

from crowdmood.errors import JobError
from crowdmood.results import DEFAULT_RESULTS
from crowdmood.s3 import s3_folder
from crowdmood.scheduling.keys import did_you_mean
from crowdmood.shipped import shipped

NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
RESULTS = re.compile(r"^(# )?results = .*$", re.MULTILINE)
ZONE = re.compile(r'^time_zone = ".*?"', re.MULTILINE)


def write_job(name: str, folder: Path, like: str = "nightly", results: str | None = None) -> Path:
    """Write NAME.toml into the folder of jobs, after an example, and return its path.

    Its results go where those of other commands go, given the same `results`, and its times are this machine's. A file
    that is there stays: JobError, as for a name that makes none and for an unknown example.
    """
    if not NAME.fullmatch(name) or name.endswith(".toml"):
        raise JobError(f"'{name}' is no name for a job; take letters, digits, '-', '_' and '.', and leave .toml out")
    path = folder / f"{name}.toml"
    text = _adapted(_example(like), like, name, _results(folder, results))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise JobError(f"{path} is there already; take another name, or edit it") from None
    except OSError as error:
        raise JobError(f"{path} cannot be written ({error.strerror})") from error
    return path


def local_time_zone() -> str:
    """The name of this machine's time zone; UTC where it cannot be told."""
    try:
        name = os.environ.get("TZ") or os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
        return ZoneInfo(name.removeprefix(":")).key
    except (KeyError, ValueError, OSError):
        return "UTC"


def _example(name: str) -> str:
    path = shipped("jobs") / f"{name}.toml"
    known = sorted(path.stem for path in shipped("jobs").glob("*.toml"))
    if name not in known:
        raise JobError(f"no example is called '{name}'{did_you_mean(name, known)}")
    return path.read_text(encoding="utf-8")


def _results(folder: Path, given: str | None) -> str:
    """The results folder as it is written in a file of this folder."""
    given = given or os.environ.get("CROWDMOOD_RESULTS") or DEFAULT_RESULTS
    there = s3_folder(given)
    return str(there) if there else os.path.relpath(given, folder)


def _adapted(text: str, like: str, name: str, results: str) -> str:
    line = f"results = {json.dumps(results, ensure_ascii=False)}"
    text = RESULTS.sub(lambda _: line, text, count=1)
    text = ZONE.sub(lambda _: f'time_zone = "{local_time_zone()}"', text)
    return re.sub(rf"(crowdmood jobs \w+) {re.escape(like)}\b", rf"\g<1> {name}", text)
