"""The log: one line per event, whatever is in it."""

import json
import logging
import subprocess
import sys

import pytest

SCRIPT = """
import logging, sys
from crowdmood.scheduling.log import begin_log, say
begin_log(sys.argv[1])
say("recording failed", "error", job="nightly", recording="/in/a\\nb\\udce9 \\u043d.mp4", failures=2, next_try=None)
logging.getLogger("crowdmood").warning("S3 is away; %s", "later")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("crowdmood.jobs").exception("a bug")
"""


def lines(form):
    return subprocess.run([sys.executable, "-c", SCRIPT, form], capture_output=True, text=True, check=True).stderr.splitlines()


def test_json():
    first, second, third = map(json.loads, lines("json"))
    assert first.pop("time").endswith("Z")
    assert first == {"level": "error", "event": "recording failed", "job": "nightly", "recording": "/in/a\nb\udce9 н.mp4", "failures": 2}
    assert (second["level"], second["event"]) == ("warning", "S3 is away; later")
    assert "ZeroDivisionError" in third["traceback"]


def test_text():
    first, second, third = lines("text")
    assert first[21:] == "nightly: error: recording failed: recording /in/a\\nb\\xe9 н.mp4; failures 2"
    assert second[21:] == "warning: S3 is away; later" and "ZeroDivisionError" in third


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_is_said_twice(form):
    assert len(lines(form)) == 3 and not logging.getLogger("crowdmood.jobs").handlers
