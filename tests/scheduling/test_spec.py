"""Job files: read, checked as a whole, found."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from crowdmood.cli import crowdmood
from crowdmood.clock import format_time
from crowdmood.errors import JobError
from crowdmood.options import Execution, Options
from crowdmood.s3 import S3Folder
from crowdmood.scheduling.keys import FIELDS, SECTIONS
from crowdmood.scheduling.spec import (
    JobSpec,
    find_job,
    list_examples,
    list_jobs,
    read_job,
)
from crowdmood.shipped import shipped
from crowdmood.sources import beside

EXAMPLES = sorted(shipped("jobs").glob("*.toml"))
EVERYTHING = """
sources = ["a.mp4", "../shows", "*.mkv", "/films", "s3://bucket/prefix", "demo://clip"]
results = "../out"
reports = ["html", "minutes", "html"]
schedule = "0  2 * * *"
time_zone = "Europe/Zurich"
catch_up = "all"
still_s = 1.5
poll_s = 2
parallel = 3
time_limit_s = "1:00:00"

[analyze]
sample_fps = "all"
start = 00:01:30
end = "1:30:00"
imgsz = 960
tiles = "2x3"
min_face = 20
roi = [0, 0, 640, 480]
ignore = [[1, 2, 3, 4], "5,6,7,8"]
decoder = "decord"
detector = "models/mine"
workers = 4
threads = 2
device = "cpu"

[retry]
times = 7
pause_s = 10
longest_pause_s = "0:30"

[on_failure]
webhook = "https://example.org/hook"
command = ["notify", "me"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder of jobs, and another one to work in."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("CROWDMOOD_JOBS", raising=False)
    monkeypatch.delenv("CROWDMOOD_RESULTS", raising=False)
    return tmp_path / "jobs"


def job(folder: Path, text: str, name: str = "nightly") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def error(folder: Path, text: str) -> str:
    with pytest.raises(JobError) as raised:
        read_job(job(folder, text))
    message = str(raised.value)
    assert message.startswith("nightly.toml") and "\n" not in message
    return message.removeprefix("nightly.toml: ")


def test_every_key_comes_to_its_field(folder):
    spec = read_job(job(folder, EVERYTHING))
    here = folder.parent
    assert spec == JobSpec(
        "nightly", folder / "nightly.toml",
        (f"{folder}/a.mp4", f"{here}/shows", f"{folder}/*.mkv", "/films", "s3://bucket/prefix", "demo://clip"), here / "out",
        Options(None, 90.0, 5400.0, 960, "2x3", 20.0, (0, 0, 640, 480), ((1, 2, 3, 4), (5, 6, 7, 8)), "decord", f"{folder}/models/mine"),
        Execution(device="cpu", workers=4, threads=2), ("html", "minutes"), "0 2 * * *", "Europe/Zurich", False, 1.5, 2.0, "all",
        7, 10.0, 30.0, 3600.0, 3, "https://example.org/hook", ("notify", "me"))


def test_what_is_left_out_is_as_the_command_line_has_it(folder):
    spec = read_job(job(folder, 'sources = "a.mp4"'))
    assert spec == JobSpec("nightly", folder / "nightly.toml", (f"{folder}/a.mp4",), folder.parent / "elsewhere/crowdmood-results")


def test_results_may_lie_on_s3(folder, monkeypatch):
    assert read_job(job(folder, 'sources = "a"\nresults = "s3://bucket//shows/"')).results == S3Folder("s3://bucket/shows")
    monkeypatch.setenv("CROWDMOOD_RESULTS", "s3://bucket/usual")
    assert read_job(job(folder, 'sources = "a"')).results == S3Folder("s3://bucket/usual")
    assert "is not of the form s3://bucket/prefix" in error(folder, 'sources = "a"\nresults = "s3:/"')


@pytest.mark.parametrize("option", [option for parameter in crowdmood.get_command(None, "analyze").params
                                    for option in parameter.opts if option.startswith("--")])
def test_analyze_in_a_job_knows_the_options_of_the_command(option):
    key = option.removeprefix("--").replace("-", "_")
    assert (key in SECTIONS["analyze"]) != (key in ("results", "report", "json", "quiet", "progress", "with_stdin"))


@pytest.mark.parametrize(("text", "sentence"), [
    ('[analyze]\nsample_fp = 2', "unknown option 'sample_fp'; did you mean 'sample_fps'?"),
    ('shedule = "0 2 * * *"', "unknown option 'shedule'; did you mean 'schedule'?"),
    ('sample_fps = 2', "unknown option 'sample_fps' above the first section; it belongs below [analyze]"),
    ('[analyze]\nschedule = "0 2 * * *"', "unknown option 'schedule' below [analyze]; it belongs above the first section"),
    ('[retry]\nretries = 3', "unknown option 'retries'; did you mean 'times'?"),
    ('[analyse]\nsample_fps = 2', "unknown option 'analyse'; did you mean '[analyze]'?"),
    ('webhok = "https://a"', "unknown option 'webhok' above the first section; did you mean 'webhook' below [on_failure]?"),
    ('[analyze]\nstart_s = 2', "unknown option 'start_s'; did you mean 'start'?"),
    ('[retry]\n"" = 3', "unknown option ''; known: times, pause_s, longest_pause_s"),
    ('retry = 3', "'retry' is a section: write [retry] on a line of its own, and its options below"),
])
def test_an_unknown_key_is_an_error_with_a_suggestion(folder, text, sentence):
    assert error(folder, text) == sentence


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "it does not say what to analyze; write, for example, sources = [\"../recordings\"]"),
    ("sources = []", "sources: the list is empty"),
    ("sources = [1]", "sources: [1] is not a list of texts such as [\"one\", \"two\"]"),
    ("sources = ['']", "sources: [''] is not a list of texts"),
    ("sources = 'a'\nresults = 3", "results: 3 is not a text in quotes"),
    ("sources = 'a'\nwatch = 'yes'", "watch: 'yes' is neither true nor false"),
    ("sources = 'a'\nwatch = true\nschedule = '0 2 * * *'", "'watch' takes recordings as they come, 'schedule' at set times; keep one"),
    ("sources = 'a'\nschedule = '0 2 * *'", "schedule: '0 2 * *' has 4 fields, not five: minute hour"),
    ("sources = 'a'\nschedule = '''0\n2'''", "schedule: '0 2' has 2 fields, not five"),
    ("sources = 'a'\nschedule = 5", "schedule: 5 is not a text in quotes"),
    ("sources = 'a'\ntime_zone = 'Europe/Zürich'", "time_zone: unknown time zone 'Europe/Zürich'; did you mean 'Europe/Zurich'?"),
    ("sources = 'a'\ncatch_up = 'twice'", "catch_up: 'twice' is none of once, all, skip"),
    ("sources = 'a'\nparallel = true", "parallel: true is not a whole number from 1 to 64"),
    ("sources = 'a'\nparallel = 0", "parallel: 0 is not a whole number from 1 to 64"),
    ("sources = 'a'\ntime_limit_s = '1:99'", "time_limit_s: '1:99' is no time; minutes and seconds behind a colon stay below 60"),
    ("sources = 'a'\nstill_s = -1", "still_s: -1 is not from 0 to"),
    ("sources = 'a'\nstill_s = nan", "still_s: nan is not from 0 to"),
    ("sources = 'a'\nstill_s = true", "still_s: true is no time; write seconds (90) or a time (\"1:30\")"),
    ("sources = 'a'\nreports = ['htm']", "no report is called 'htm'; known: "),
    ("sources = 'a'\nreports = ['segments']", "reports: the report 'segments' needs --segments"),
    ("sources = 'a'\n[retry]\ntimes = 1.5", "[retry] times: 1.5 is not a whole number from 0 to 1000"),
    ("sources = 'a'\n[retry]\npause_s = 9000", "[retry] pause_s (9000) is longer than longest_pause_s (3600)"),
    ("sources = 'a'\n[on_failure]\nwebhook = 'example.org'", "[on_failure] webhook: 'example.org' is no address that begins with https://"),
    ("sources = 'a'\n[on_failure]\ncommand = 5", "[on_failure] command: 5 is not a list of texts"),
    ("sources = 'a'\n[analyze]\nsample_fps = 'most'", "[analyze] sample_fps: 'most' is neither a number nor 'all'"),
    ("sources = 'a'\n[analyze]\nsample_fps = 0", "sample_fps must be above 0 and at most 1000, or 'all', not 0"),
    ("sources = 'a'\n[analyze]\nimgsz = 640.5", "[analyze] imgsz: '640.5' is not a valid integer"),
    ("sources = 'a'\n[analyze]\nimgsz = true", "[analyze] imgsz: true makes no sense here"),
    ("sources = 'a'\n[analyze]\nimgsz = [640]", "[analyze] imgsz: [640] makes no sense here"),
    ("sources = 'a'\n[analyze]\nworkers = 0", "workers must be from 1 to 1024, not 0"),
    ("sources = 'a'\n[analyze]\nroi = [1, 2, 3]", "[analyze] roi: '1,2,3' is not x1,y1,x2,y2 in whole pixels"),
    ("sources = 'a'\n[analyze]\nignore = [[1, 2, 3, 4], 5]", "[analyze] ignore: '5' is not x1,y1,x2,y2 in whole pixels"),
    ("sources = 'a'\n[analyze]\nstart = 30\nend = 20", "the end (20.0 s) must come after the start (30.0 s)"),
    ("sources = 'a'\n[analyze]\nstart = 2026-01-01", "[analyze] start: 2026-01-01 makes no sense here"),
])
def test_a_value_that_makes_no_sense_is_one_sentence(folder, text, sentence):
    assert sentence in error(folder, text)


@pytest.mark.parametrize(("content", "sentence"), [
    (b"sources = 'a'\nresults = \n", "nightly.toml, line 2: invalid value"),
    (b"sources = ['a'\n", "nightly.toml, at its end: unclosed array"),
    (b"sources = 'a'\nsources = 'b'\n", "nightly.toml, line 2: cannot overwrite a value"),
    (b"\xff\xfe", "nightly.toml: it is not text in UTF-8"),
])
def test_what_is_no_toml_is_one_sentence_with_the_line(folder, content, sentence):
    path = folder / "nightly.toml"
    path.write_bytes(content)
    with pytest.raises(JobError) as raised:
        read_job(path)
    assert str(raised.value) == sentence


def test_a_key_without_a_name_is_an_unknown_one(folder):
    assert error(folder, '"" = 3').startswith("unknown option ''; known: sources, results, reports, ")


def test_a_file_that_is_gone_or_a_folder_is_one_sentence(folder):
    with pytest.raises(JobError, match=r"^gone.toml: it cannot be read \(No such file or directory\)$"):
        read_job(folder / "gone.toml")
    with pytest.raises(JobError, match=r"it cannot be read \(Is a directory\)$"):
        read_job(folder)


def test_a_source_with_a_relative_path_begins_beside_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "odd [folder]"
    folder.mkdir()
    assert beside(folder, "~/Zoom") == f"{tmp_path}/Zoom"
    assert beside(folder, "*.mp4") == f"{tmp_path}/odd [[]folder]/*.mp4"
    (folder / "talk [final].mp4").touch()
    assert beside(folder, "talk [final].mp4") == f"{folder}/talk [final].mp4"


def test_an_sql_file_of_ones_own_may_be_a_report(folder):
    (folder.parent / "mine.sql").write_text("-- title: Mine\nSELECT 1 AS one")
    assert read_job(job(folder, 'sources = "a"\nreports = ["../mine.sql"]')).reports == (str(folder.parent / "mine.sql"),)
    assert "gone.sql cannot be read: No such file" in error(folder, 'sources = "a"\nreports = ["gone.sql"]')


def test_jobs_are_found_by_name_and_examples_where_there_is_none_of_that_name(folder, monkeypatch):
    job(folder, 'sources = "mine"', "demo")
    assert find_job("demo", folder).sources == (f"{folder}/mine",)
    assert find_job("nightly", folder).path == shipped("jobs") / "nightly.toml"
    with pytest.raises(JobError, match="no job is called 'dmo' in .*/jobs; did you mean 'demo'?"):
        find_job("dmo", folder)
    with pytest.raises(JobError, match="which holds none, nor among the examples; known: demo, nightly, watch, webinars"):
        find_job("x")
    monkeypatch.setenv("CROWDMOOD_JOBS", str(folder))
    assert find_job("demo").path == folder / "demo.toml"


def test_a_broken_file_does_not_hide_the_others(folder):
    assert list_jobs(folder) == ([], []) and list_jobs(folder / "gone") == ([], [])
    job(folder, 'sources = "a"', "b")
    job(folder, 'sources = "a"', "a")
    job(folder, "oops", "broken")
    job(folder, "oops", ".hidden")
    specs, errors = list_jobs(folder)
    assert [spec.name for spec in specs] == ["a", "b"]
    assert [str(error).partition(",")[0] for error in errors] == ["broken.toml"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_valid_also_with_everything_that_is_only_a_comment(path, folder):
    read_job(path)
    whole = re.sub(r"^( *)# (?=[a-z_]+ = |\")", r"\1", path.read_text(), flags=re.MULTILINE)
    assert whole != path.read_text()
    read_job(job(folder, whole))


def test_the_nightly_example_explains_every_key_and_its_default(folder):
    """Those of [analyze] are the command's; a default that is written down is the default."""
    text = (shipped("jobs") / "nightly.toml").read_text()
    whole = tomllib.loads(re.sub(r"^( *)# (?=[a-z_]+ = |\")", r"\1", text, flags=re.MULTILINE))
    for section in ("", "retry", "on_failure"):
        keys = set(whole if section == "" else whole[section]) - set(SECTIONS)
        assert keys >= set(SECTIONS[section]) - {"watch", "poll_s"}
    written, usual = tomllib.loads(text), read_job(job(folder, 'sources = "a"'))
    for key in ("reports", "catch_up", "still_s", "parallel"):
        assert getattr(usual, key) == (tuple(written[key]) if key == "reports" else written[key])
    for key, value in written["retry"].items():
        assert getattr(usual, FIELDS.get(f"retry.{key}", key)) == value
    assert written["analyze"] == {"sample_fps": usual.options.sample_fps}


def test_the_examples_are_the_known_ones():
    assert [spec.name for spec in list_examples()] == ["demo", "nightly", "watch", "webinars"]
    assert format_time(find_job("watch").still_s) == "0:30"
