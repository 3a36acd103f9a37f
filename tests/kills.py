"""Do something to copies of a results folder, and be killed (SIGKILL) before the n-th rename or removal in the n-th copy.

    python -m tests.kills TEMPLATE COPIES "crowdmood.removal.remove(results, run)" [WHERE [MOST]]

The copies are COPIES/0, COPIES/1, ... until one is not killed, or MOST of them; WHERE: only steps count whose path matches it. The program imports
once and forks for each copy. It prints how many copies it made.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import crowdmood.erasure
import crowdmood.removal
from crowdmood.results import Run
from tests.made_runs import RUN

STEPS = ("os.rename", "os.remove", "os.rmdir")


def killed_at(step: int, action: str, results: Path, where: str) -> bool:
    """Whether the child was killed before it was done."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or status == 0, f"step {step} failed: {status}"
        return os.WIFSIGNALED(status)
    left = step

    def watch(event: str, arguments: tuple) -> None:
        nonlocal left
        if event in STEPS and re.search(where, str(arguments[0])):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    eval(action, {"crowdmood": crowdmood, "results": results, "run": RUN, "Run": Run})
    os._exit(0)


def main(template: str, copies: str, action: str, where: str = "", most: str = "1000") -> None:
    step = 0
    shutil.copytree(template, Path(copies) / "0")
    while killed_at(step, action, Path(copies) / str(step), where) and step + 1 < int(most):
        step += 1
        shutil.copytree(template, Path(copies) / str(step))
    print(step + 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
