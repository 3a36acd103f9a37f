"""`crowdmood jobs list | show | new | install`, as a user calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from crowdmood.cli import crowdmood
from crowdmood.cli.jobs import JOBS
from crowdmood.errors import CrowdmoodError, JobError
from crowdmood.scheduling.spec import list_examples, read_job
from crowdmood.shipped import shipped
from tests.videos import Clip, write

EXAMPLES = ["demo", "nightly", "watch", "webinars"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, an empty cache."""
    for name in ("CROWDMOOD_JOBS", "CROWDMOOD_RESULTS", "TZ"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def jobs(*arguments: str) -> Result:
    """What a command printed. Errors of the user are raised."""
    done = CliRunner().invoke(crowdmood, ["jobs", *arguments])
    if isinstance(done.exception, CrowdmoodError):
        raise done.exception
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def write_job(here: Path, name: str, text: str) -> None:
    (here / "jobs").mkdir(exist_ok=True)
    (here / f"jobs/{name}.toml").write_text(text)


def test_where_there_are_no_jobs_the_examples_are_listed():
    done = jobs("list")
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == EXAMPLES
    assert "no jobs in" in done.stderr and "`crowdmood jobs new NAME`" in done.stderr
    assert [(row["name"], row["example"]) for row in json.loads(jobs("list", "--json").stdout)] == [(name, True) for name in EXAMPLES]


def test_a_list_has_times_in_the_jobs_own_time_zone_and_says_what_is_wrong(here):
    write_job(here, "b", 'sources = "x"\nschedule = "30 5 * * *"\ntime_zone = "Asia/Kolkata"')
    write_job(here, "a", 'sources = ["x", "y"]\nwatch = true')
    write_job(here, "wrong", 'sources = "x"\nshedule = "30 5 * * *"')
    done = jobs("list")
    assert done.exit_code == 1 and done.stderr == "crowdmood: wrong.toml: unknown option 'shedule'; did you mean 'schedule'?\n"
    watching, scheduled = done.stdout.splitlines()[2:]
    assert watching.startswith("a    as they come, looking every 10 s") and scheduled.startswith("b    30 5 * * * Asia/Kolkata")
    assert " 05:30 " in scheduled
    first, second = json.loads(jobs("list", "--json").stdout)
    assert (first["name"], first["next_due"], second["example"]) == ("a", [], False) and len(second["next_due"]) == 3
    assert all(moment.endswith("T00:00:00Z") and datetime.fromisoformat(moment) > datetime.now(UTC) for moment in second["next_due"])


def test_show_says_what_a_file_comes_to_and_what_is_there_now(here):
    for number in range(12):
        (here / "films").mkdir(exist_ok=True)
        (here / f"films/{number:02d} é.mp4").touch()
    (here / "films/odd\nname.mp4").touch()
    write_job(here, "nightly", """
sources = ["../films", "../gone"]
results = "../out"
schedule = "0 2 * * *"
time_limit_s = 7200
reports = []
[analyze]
sample_fps = "all"
start = "1:30"
workers = 2
[retry]
times = 8
[on_failure]
command = ["mail", "me"]
""")
    done = jobs("show", "nightly")
    lines = {line[:10].strip(): line[11:] for line in done.stdout.splitlines()}
    assert lines["results"] == f"{here}/out" and lines["sources"] == f"{here}/films, {here}/gone"
    assert lines["analyze"] == "sample_fps all, start 90.0, workers 2" and lines["reports"] == "none"
    assert lines["when"] == "0 2 * * * UTC; times missed: once for all" and lines["next due"].count("02:00") == 3
    assert lines["at once"] == "1, each at most 2:00:00" and lines["failures"] == "mail me"
    assert lines["retries"] == "8, after 1:00, 2:00, 4:00, 8:00, 16:00, 32:00, ..."
    assert lines["now"] == "13 recordings in the sources" and "... and 3 more (--json has all)" in done.stdout
    assert done.stderr == f"crowdmood: {here}/gone: there is no such file\n"
    found = json.loads(jobs("show", "nightly", "--json").stdout)
    assert len(found["recordings"]) == 13 and f"{here}/films/odd\nname.mp4" in found["recordings"]
    assert found["errors"] == [f"{here}/gone: there is no such file"] and found["options"]["start_s"] == 90


def test_show_of_names_that_are_no_text(here):
    write_job(here, "nightly", 'sources = "../films"')
    (here / "films").mkdir()
    (here / "films" / os.fsdecode(b"\xff.mp4")).touch()
    assert r"\udcff.mp4" in jobs("show", "nightly").stdout
    assert os.fsencode(json.loads(jobs("show", "nightly", "--json").stdout)["recordings"][0]).endswith(b"/\xff.mp4")


@pytest.mark.parametrize("like", EXAMPLES)
def test_a_new_file_is_valid_as_it_is_and_never_overwrites(here, like):
    done = jobs("new", "mine", "--like", like)
    path = Path(done.stdout.strip())
    assert path == here / "jobs/mine.toml" and "crowdmood jobs show mine" in done.stderr
    spec, example = read_job(path), read_job(shipped("jobs") / f"{like}.toml")
    assert spec.sources == ("demo://clip",) and spec.results == here / "crowdmood-results"
    assert (spec.schedule, spec.watch, spec.options, spec.retries) == (example.schedule, example.watch, example.options, example.retries)
    assert f"jobs run {like}" not in path.read_text() and "\n# results = " not in path.read_text()
    path.write_text("mine")
    with pytest.raises(JobError, match=r"jobs/mine.toml is there already; take another name, or edit it"):
        jobs("new", "mine")
    assert path.read_text() == "mine" and [file.name for file in path.parent.iterdir()] == ["mine.toml"]


def test_a_new_file_has_this_machines_time_zone_and_the_usual_results(here, monkeypatch):
    monkeypatch.setenv("TZ", "Australia/Lord_Howe")
    monkeypatch.setenv("CROWDMOOD_RESULTS", "s3://bucket/shows")
    jobs("new", "mine", "--jobs", "other/jobs")
    spec = read_job(here / "other/jobs/mine.toml")
    assert spec.time_zone == "Australia/Lord_Howe" and str(spec.results) == "s3://bucket/shows"
    monkeypatch.setenv("TZ", "no such zone")
    jobs("new", "mine", "--results", 'an "odd" one')
    spec = read_job(here / "jobs/mine.toml")
    assert spec.time_zone == "UTC" and spec.results == here / 'an "odd" one'


@pytest.mark.parametrize(("arguments", "sentence"), [
    (("new", "a/b"), "'a/b' is no name for a job"), (("new", ".."), "'..' is no name for a job"),
    (("new", "a.toml"), "leave .toml out"), (("new", "a\nb"), "is no name for a job"),
    (("new", "a", "--like", "nigthly"), "no example is called 'nigthly'; did you mean 'nightly'?"),
    (("show", "nigthly"), "did you mean 'nightly'?"), (("install", "--cron"), "no jobs in"),
])
def test_what_makes_no_sense_is_one_sentence(here, arguments, sentence):
    with pytest.raises(JobError) as raised:
        jobs(*arguments)
    assert sentence in str(raised.value) and "\n" not in str(raised.value).replace("a\nb", "") and not (here / "jobs").exists()


def test_install_prints_what_the_first_lines_say(here):
    write_job(here, "nightly", 'sources = "x"')
    write_job(here, "other", 'sources = "y"')
    timer = jobs("install", "--systemd").stdout
    assert "===== crowdmood.service\n" in timer and "===== crowdmood.timer\n" in timer and "enable --now crowdmood.timer" in timer
    assert f"ExecStart={sys.executable} -m crowdmood jobs due --jobs {here}/jobs" in timer
    daemon = jobs("install", "--systemd", "--daemon").stdout
    assert "enable --now crowdmood.service" in daemon and " jobs daemon --jobs " in daemon and ".timer" not in daemon
    comment, line = jobs("install", "--cron").stdout.splitlines()
    assert comment.startswith("# ") and line.startswith("* * * * * cd ")
    config, cron = yaml.safe_load_all(jobs("install", "--kubernetes", "--image", "mine:1").stdout)
    assert set(config["data"]) == {"nightly.toml", "other.toml"}
    assert cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] == "mine:1"


@pytest.mark.parametrize("arguments", [("install",), ("install", "--cron", "--daemon"), ("new",), ("show",), ("lst",)])
def test_wrong_usage_is_code_2(arguments):
    assert jobs(*arguments).exit_code == 2


@pytest.mark.parametrize("name", JOBS)
def test_help_has_an_example(name):
    assert f"crowdmood jobs {name}" in jobs(name, "--help").stdout


def test_help_and_list_load_nothing_heavy(here):
    write_job(here, "nightly", 'sources = "x"\nschedule = "0 2 * * *"')
    script = ("import sys; from crowdmood.cli import crowdmood; crowdmood(sys.argv[1:], standalone_mode=False);"
              "print([name for name in ('torch', 'ultralytics', 'openvino', 'cv2', 'av', 's3fs') if name in sys.modules])")
    for command in (["jobs", "--help"], ["jobs", "new", "--help"], ["jobs", "list"]):
        done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True, cwd=here)
        assert done.stdout.splitlines()[-1] == "[]" , command


# What the examples do


@pytest.mark.slow
def test_examples_run_as_they_are_on_the_demo_clip(here, tmp_path):
    """The first one makes the clip. The other two examples do the same as `demo`, at other times."""
    for number, name in enumerate(("demo", "webinars"), 1):
        done = subprocess.run([sys.executable, "-m", "crowdmood", "jobs", "run", name, "--json"], capture_output=True, text=True,
                              check=False, cwd=here)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["done"] == 1, done.stderr
        assert (tmp_path / "cache/crowdmood/demo.mp4").is_file()
        assert len(list(here.glob("crowdmood-results/reports/demo.mp4/*/index.html"))) == number
    assert len(list(here.glob("crowdmood-results/reports/jobs/webinars/engagement.csv"))) == 1


def test_the_other_examples_do_the_same_at_other_times():
    demo, nightly, watch, _ = list_examples()
    when = ("name", "path", "schedule", "time_zone", "watch", "still_s")
    for example in (nightly, watch):
        assert example != demo == replace(example, **{field: getattr(demo, field) for field in when})


def test_a_job_of_ones_own_beside_its_files(here):
    """Relative paths begin beside the job file, wherever the command is called."""
    write(here / "rehearsal.mp4", Clip())
    write_job(here, "mine", 'sources = ["../*.mp4"]\nresults = "../out"')
    found = json.loads(subprocess.run([sys.executable, "-m", "crowdmood", "jobs", "show", "mine", "--json", "--jobs", str(here / "jobs")],
                                      capture_output=True, text=True, check=True, cwd="/").stdout)
    assert found["recordings"] == [f"{here}/rehearsal.mp4"] and found["results"] == f"{here}/out"
