"""Units, lines and manifests: read back by what they are for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from crowdmood.errors import JobError
from crowdmood.scheduling.units import (
    Call,
    call_here,
    cron_line,
    kubernetes_manifest,
    systemd_daemon,
    systemd_timer,
)

ODD = "50% off $HOME 'a' \"b\" \\ é; x"
SAYS = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["SAID"], "w") as file:
    json.dump({{"words": sys.argv[1:], "folder": os.getcwd(), "results": os.environ.get("CROWDMOOD_RESULTS")}}, file)
print("done")
"""
LOGGER = '#!/bin/sh\necho "$@" > "$SAID.log"\ncat >> "$SAID.log"\n'


@pytest.fixture
def odd(tmp_path, monkeypatch) -> Path:
    """A folder with an odd name, and in it a program that writes down how it was called, in Python's place."""
    folder = tmp_path / ODD
    folder.mkdir()
    for name, text in (("python", SAYS), ("logger", LOGGER)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    return folder


def call(folder: Path, **environment: str) -> Call:
    return Call(folder / "jobs", folder, environment, "crowdmood-2")


def as_cron_calls_it(line: str) -> str:
    """What cron hands to the shell: the first bare % would end the command, a \\% is a %."""
    *times, command = line.split(" ", 5)
    assert times == ["*"] * 5 and "\n" not in line
    assert "%" not in command.replace(r"\%", "")
    return command.replace(r"\%", "%")


@pytest.mark.parametrize("results", [None, "s3://bucket/pre fix", ODD])
def test_the_line_for_cron_calls_what_is_meant(odd, tmp_path, results):
    wanted = call(odd, **({"CROWDMOOD_RESULTS": results} if results else {}))
    command = as_cron_calls_it(cron_line(wanted))
    environment = {"PATH": f"{odd}{os.pathsep}/usr/bin:/bin", "SAID": str(tmp_path / "said")}
    subprocess.run(["/bin/sh", "-c", command], check=True, cwd="/", env=environment)
    said = json.loads((tmp_path / "said").read_text())
    assert said == {"words": ["-m", "crowdmood", "jobs", "due", "--jobs", f"{odd}/jobs"], "folder": str(odd), "results": results}
    assert (tmp_path / "said.log").read_text().splitlines() == ["-t crowdmood-2", "done"]


def test_a_line_longer_than_cron_takes_is_refused(odd):
    with pytest.raises(JobError, match="the line for cron would have 1[0-9]* letters, more than it takes"):
        cron_line(call(odd, CROWDMOOD_RESULTS="x" * 1000))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("files", [systemd_timer, systemd_daemon])
def test_systemd_finds_nothing_wrong_with_the_units(odd, tmp_path, files):
    for name, text in files(call(odd, CROWDMOOD_RESULTS=ODD)).items():
        (tmp_path / name).write_text(text)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / name)],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0 and name not in done.stderr, done.stderr


def test_systemd_reads_every_word_as_it_was(odd):
    """By the rules of systemd.syntax(7) and systemd.service(5): quotes and backslashes as in C, %% is %, $$ is $."""
    wanted = call(odd, CROWDMOOD_RESULTS=ODD)
    (text,) = systemd_daemon(wanted).values()
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert unquoted(lines["ExecStart"].replace("%%", "%").replace("$$", "$")) == ["/usr/bin/env", *wanted.words("daemon")]
    assert unquoted(lines["Environment"].replace("%%", "%")) == [f"CROWDMOOD_RESULTS={ODD}"]
    assert lines["WorkingDirectory"].replace("%%", "%") == str(odd)
    assert "%" not in text.replace("%%", "") and "$" not in lines["ExecStart"].replace("$$", "")


def unquoted(line: str) -> list[str]:
    """The words of a line in which each is bare or in double quotes with backslashes."""
    words, inside, word, letters = [], False, "", iter(line)
    for letter in letters:
        if letter == "\\":
            word += next(letters)
        elif letter == '"':
            inside = not inside
        elif letter == " " and not inside:
            words.append(word)
            word = ""
        else:
            word += letter
    return [*words, word]


def test_the_manifest_is_what_kubernetes_reads():
    files = {"nightly.toml": 'sources = ["../recordings"]\n\n# é "quoted": {yes}\n', "odd.toml": "  no end\t\x85", "gap.toml": "a = 1\n\n", "empty.toml": ""}
    config, cron = yaml.safe_load_all(kubernetes_manifest(call(Path("/x")), files, "registry.example.org/crowdmood:1"))
    assert config["data"] == files and config["metadata"]["name"] == "crowdmood-2-jobs"
    assert (config["kind"], cron["kind"], cron["apiVersion"]) == ("ConfigMap", "CronJob", "batch/v1")
    assert cron["spec"]["schedule"] == "* * * * *" and cron["spec"]["concurrencyPolicy"] == "Forbid"
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["crowdmood", "jobs", "due", "--jobs", "/data/jobs"]
    assert container["image"] == "registry.example.org/crowdmood:1"
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {"jobs": "/data/jobs", "data": "/data"} and {volume["name"] for volume in pod["volumes"]} == set(mounted)
    assert pod["volumes"][0]["configMap"]["name"] == config["metadata"]["name"] and pod["restartPolicy"] == "Never"


def test_kubernetes_takes_only_plain_names():
    with pytest.raises(JobError, match=r"my job.toml: Kubernetes takes only letters"):
        kubernetes_manifest(call(Path("/x")), {"my job.toml": ""})


@pytest.mark.parametrize("title", ["", "Nightly", "a_b", "-a", "a-", "a" * 41, "größe", "a\nb", "a.service"])
def test_a_title_is_good_for_every_system(title):
    with pytest.raises(JobError, match="is no name for a unit; take up to 40"):
        call_here(Path("/x"), title)


def test_a_path_of_several_lines_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JobError, match="cannot be written into a unit; rename it"):
        call_here(Path("/x\ny"))


def test_the_environment_that_decides_where_results_are_is_kept_and_keys_are_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROWDMOOD_RESULTS", "s3://bucket/a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    here = call_here(Path("/x"))
    assert here.environment["CROWDMOOD_RESULTS"] == "s3://bucket/a" and here.folder == tmp_path
    assert "hush" not in cron_line(here) + "".join(systemd_timer(here).values()) + kubernetes_manifest(here, {})
