"""The report of a run: what it says is what SQL says, it needs nothing else, and a real browser shows it."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crowdmood import catalog, tables
from crowdmood.curves import Curves, curves_of, outline, stretches, ticks
from crowdmood.errors import ResultsError
from crowdmood.labels import EXPRESSIONS
from crowdmood.palette import EXPRESSION_COLOURS, STACK_ORDER
from crowdmood.persons import Links
from crowdmood.plots import spread, timeline_png
from crowdmood.report import build_report, figures
from crowdmood.results import Run
from crowdmood.sql_reports import find_report, report_sql, shipped_reports
from tests import browser
from tests.made_runs import EMPTY, FRAMES, RUN, STARTED, face_columns, frame_columns, make_parts, make_run, run_row

EVIL = "<img src=x onerror=alert(1)><script>alert(2) &amp; \"x\" 'y' $a_b$ 日本.mp4"
VOID = {"meta", "link", "br", "img"}


class Page(HTMLParser):
    """Elements (tag, attributes) and text of a page; notes tags that are not closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements, self.text, self.open, self.wrong = [], "", [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        self.text = re.sub(r"\s+", " ", self.text.replace("\u202f", " "))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += " " + data


def crowd_run(results: Path, persons: int, frames: int, recording: str = "crowd.mp4", usable: bool = True) -> Run:
    """A complete run with `persons` in every frame (6 frames of recording apart, 30 fps)."""
    faces = face_columns(1, frames, persons)
    if not usable:
        faces |= {"usable": np.zeros(len(faces["frame"]), bool), "expression": ["uncertain"] * len(faces["frame"])}
    tables.write_run(results, run_row(recording=recording, duration_s=frames / 5, chunks=1))
    tables.write_part(results, RUN, 0, tables.part_table("frames", RUN, frame_columns(faces, frames)),
                      tables.part_table("faces", RUN, faces))
    person = np.tile(np.arange(1, persons + 1, dtype=np.int32), frames)
    tables.complete(results, RUN, Links(person, person, np.zeros(frames, bool)), finished=STARTED, seconds=1.0)
    return Run(RUN, results)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    results = tmp_path_factory.mktemp("results")
    make_run(results)
    build_report(Run(RUN, results))
    return Run(RUN, results)


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def test_the_page_is_whole_and_needs_nothing_else(run):
    text = run.report.read_text()
    page = Page(run.report)
    assert page.open == [] and page.wrong == []
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"(?s)<script>.*?</script>", "", text))
    addresses = [value for _, attributes in page.elements for name, value in attributes.items()
                 if name in ("src", "href", "srcset", "action", "data")]
    assert set(addresses) == {"#main", "data:,"}
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy
    assert not re.search(r"url\((?!#)|@import", text)


def test_headlines_are_what_sql_says(run):
    text = Page(run.report).text
    faces, usable, persons = run.sql("SELECT count(*), count(*) FILTER (usable), count(DISTINCT person) FROM faces"
                                     ).to_pylist()[0].values()
    assert f"Persons {persons} " in text
    assert f"Faces read {percent(usable / faces)} coverage: {usable} of {faces} faces" in text
    best = run.sql("SELECT * FROM timeline ORDER BY happy DESC LIMIT 1").to_pylist()[0]
    assert f"Happiest second 0:0{best['second']} {percent(best['happy'])} happy · {best['usable_faces']} faces" in text


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_shares_are_what_sql_says(run, name):
    share, faces, persons = run.sql(
        f"SELECT avg({name}) FILTER (usable), count(*) FILTER (expression = '{name}'), "
        f"count(DISTINCT person) FILTER (expression = '{name}') FROM faces").to_pylist()[0].values()
    assert f" {name} {percent(share, 1)} {faces} {persons} " in Page(run.report).text


def test_uncertain_faces_are_counted_but_have_no_share(run):
    uncertain = run.sql("SELECT count(*) AS n FROM faces WHERE NOT usable")["n"][0].as_py()
    assert re.search(rf" uncertain not counted: [a-z, ]+ {uncertain} 3 ", Page(run.report).text)


def test_bins_are_the_seconds_of_the_timeline_when_put_together(run):
    bins = run.sql(f"SELECT floor(start_s + 1e-6) AS second, sum(usable_faces * (end_s - start_s) * 5) AS faces, "
                   f"sum(happy * usable_faces) / sum(usable_faces) AS happy FROM ({report_sql('bins')}) GROUP BY 1 ORDER BY 1")
    seconds = run.sql("SELECT second, usable_faces, happy FROM timeline ORDER BY second")
    assert bins["second"].to_pylist() == seconds["second"].to_pylist()
    assert bins["faces"].to_pylist() == pytest.approx(seconds["usable_faces"].to_pylist())
    assert bins["happy"].to_pylist()[:6] == pytest.approx(seconds["happy"].to_pylist()[:6], rel=1e-5)
    assert bins["happy"].to_pylist()[-1] is None


def test_the_steps_of_the_page_are_the_bins(run):
    steps = json.loads(re.search(r'id="steps">(.*?)</script>', run.report.read_text())[1])
    bins = figures(run)["bins"].to_pylist()
    assert len(steps) == len(bins) == FRAMES
    for step, row in zip(steps, bins, strict=True):
        assert step[0] == pytest.approx(row["start_s"], abs=0.006)
        mix = [row[name] for name in STACK_ORDER]
        assert step[2] == ([None] * 7 if row["happy"] is None else [round(1000 * share) for share in mix])


def test_a_frame_counts_for_as_long_as_it_is_shown(tmp_path):
    """Slides: three frames, shown for 1, 8 and 1 seconds; no step in between is empty."""
    run = crowd_run(tmp_path, 2, 3)
    catalog_rows = run.sql("SELECT * REPLACE ([0.0, 1.0, 9.0][frame // 6 + 1] AS time_s, "
                           "[1.0, 8.0, 1.0][frame // 6 + 1] AS shown_s) FROM frames ORDER BY frame")
    tables.write_table(tables.table_path(tmp_path, "frames", RUN), tables.FRAMES, [catalog_rows])
    bins = run.sql(report_sql("bins")).to_pylist()
    assert bins[-1]["end_s"] == 10 and all(row["faces"] == 2 for row in bins)
    assert {row["happy"] for row in bins if 1 <= row["start_s"] < 9} == {bins[len(bins) // 2]["happy"]}


def test_spans_show_the_largest_expression_or_uncertain(tmp_path):
    run = crowd_run(tmp_path, 1, 50, usable=False)
    assert run.sql(report_sql("spans")).to_pylist() == [
        {"run": RUN, "person": 1, "expression": "uncertain", "start_s": 0.0, "end_s": pytest.approx(10.0)}]
    assert "No face is clear enough to be read" in Page(build_report(run)).text


def test_spans_cover_the_time_of_the_persons(run):
    spans = run.sql(f"SELECT person, sum(end_s - start_s) AS s, min(start_s) AS first FROM ({report_sql('spans')}) GROUP BY 1")
    assert sorted(spans["person"].to_pylist()) == [1, 2, 3]
    assert spans["s"].to_pylist() == pytest.approx([(FRAMES - EMPTY) / 5] * 3)


def test_moments_find_a_planted_peak(tmp_path):
    faces = face_columns(2, 100, 6)
    for name in EXPRESSIONS:
        faces[name] = np.where((faces["time_s"] >= 12) & (faces["time_s"] < 13), name == "surprise", name == "neutral"
                               ).astype(np.float32) * 0.94 + 0.01
    tables.write_run(tmp_path, run_row(chunks=1))
    tables.write_part(tmp_path, RUN, 0, tables.part_table("frames", RUN, frame_columns(faces, 100)),
                      tables.part_table("faces", RUN, faces))
    person = np.tile(np.arange(1, 7, dtype=np.int32), 100)
    tables.complete(tmp_path, RUN, Links(person, person, np.zeros(100, bool)))
    moments = Run(RUN, tmp_path).sql(report_sql("moments")).to_pylist()
    assert [(row["start_s"], row["expression"], row["persons"]) for row in moments] == [(12, "surprise", 6)]
    assert moments[0]["share"] == pytest.approx(0.95) and moments[0]["rise"] == pytest.approx(0.94)
    assert re.search(r"0:12 surprise peaks 95 % 1 % \+94 6 ", Page(build_report(Run(RUN, tmp_path))).text)


def test_few_persons_are_said_to_be_few(run, tmp_path):
    assert "These figures stand on 3 persons." in Page(run.report).text
    assert "These figures stand on" not in Page(build_report(crowd_run(tmp_path, 6, 20))).text


def test_a_long_list_of_persons_ends(tmp_path):
    page = Page(build_report(crowd_run(tmp_path, 64, 12)))
    assert sum("data-person" in attributes for _, attributes in page.elements) == 60
    assert "and 4 more" in page.text


def test_a_file_name_is_text(tmp_path):
    page = Page(build_report(crowd_run(tmp_path, 1, 10, EVIL)))
    assert EVIL in page.text
    assert not any(tag == "img" for tag, _ in page.elements)
    assert sum(tag == "script" for tag, _ in page.elements) == 2 and page.wrong == []


def test_no_faces_is_said_and_shown(tmp_path):
    index = build_report(crowd_run(tmp_path, 0, 20, "empty hall.mp4"))
    page = Page(index)
    assert "No faces were found" in page.text and "20 frames were looked at" in page.text and page.wrong == []
    assert picture(index).shape == (900, 1600, 3)


def picture(index: Path) -> np.ndarray:
    with Image.open(index.with_name("timeline.png")) as image:
        return np.asarray(image.convert("RGB"))


def coloured(pixels: np.ndarray, name: str) -> int:
    colour = np.array([int(EXPRESSION_COLOURS[name][i:i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(pixels.astype(int) - colour).max(axis=2) <= 2).sum())


def test_the_picture_shows_each_expression_as_large_as_it_is(run):
    pixels = picture(run.report)
    assert pixels.shape == (900, 1600, 3)
    bins = figures(run)["bins"]
    shares = {name: np.nanmean(bins[name].to_numpy().astype(float)) for name in EXPRESSIONS if name != "happy"}
    areas = {name: coloured(pixels, name) for name in shares}
    for name, share in shares.items():
        assert areas[name] / sum(areas.values()) == pytest.approx(share / sum(shares.values()), abs=0.015), name


def test_gaps_in_the_picture_are_gaps(run):
    """The last ten of forty frames have no face: the right quarter of the mix shows no expression at all."""
    pixels = picture(run.report)[150:500]  # the mix alone
    left, right = round(0.075 * 1600), round(0.842 * 1600)
    edge = left + (right - left) * (FRAMES - EMPTY) // FRAMES
    assert sum(coloured(pixels[:, edge + 3:right - 3], name) for name in EXPRESSIONS) == 0
    assert all(coloured(pixels[:, left:edge], name) > 500 for name in EXPRESSIONS)


@pytest.mark.parametrize("seconds", [0.2, 1, 60, 3 * 3600])
def test_pictures_of_any_length(seconds, tmp_path):
    steps = min(480, max(1, int(seconds * 5)))
    edges = np.linspace(0, seconds, steps + 1)
    flat = np.full(steps, 1 / 7)
    curves = Curves(edges[:-1], edges[1:], np.tile(flat, (7, 1)), flat * 0, *[np.ones(steps)] * 4)
    overview = dict.fromkeys(EXPRESSIONS, 1 / 7) | {"start_s": 0.0, "end_s": seconds, "persons": 1, "faces": 1, "usable_faces": 1}
    timeline_png(tmp_path / "timeline.png", curves, overview, "x" * 200)
    pixels = picture(tmp_path / "index.html")
    assert len({coloured(pixels, name) // 8000 for name in EXPRESSIONS}) == 1 and coloured(pixels, "sad") > 40_000


def test_an_unfinished_run_has_no_report_yet(tmp_path):
    make_parts(tmp_path)
    with pytest.raises(ResultsError, match="is not complete; `crowdmood analyze"):
        build_report(Run(RUN, tmp_path))


def test_a_report_is_built_anew_over_the_old_one(run):
    before = run.report.read_bytes(), picture(run.report).tobytes()
    assert build_report(run) == run.report == run.results / "reports" / "concert.mp4" / RUN / "index.html"
    assert (run.report.read_bytes(), picture(run.report).tobytes()) == before
    assert sorted(path.name for path in run.report.parent.iterdir()) == ["index.html", "timeline.png"]


@pytest.mark.parametrize("name", sorted(shipped_reports()))
def test_every_report_has_a_heading_and_answers_over_many_runs(name, tmp_path):
    title, description = shipped_reports()[name].title, shipped_reports()[name].description
    assert title and len(description) > 40 and "--" not in description
    make_run(tmp_path)
    make_run(tmp_path, "ff00ff00ff00", seed=5)
    values = shipped_reports()[name].values({})
    both = catalog.fetch(tmp_path, report_sql(name), None, values).to_pylist()
    if both and "run" not in both[0]:  # about all runs together, or about none
        return
    apart = [row for one in (RUN, "ff00ff00ff00") for row in catalog.fetch(tmp_path, report_sql(name), one, values).to_pylist()]
    if name == "compare":  # the best run first
        both, apart = (sorted(rows, key=lambda row: row["run"]) for rows in (both, apart))
    for one, other in itertools.zip_longest(both, apart):
        assert {key: pytest.approx(value) if isinstance(value, float) else value for key, value in other.items()} == one


def test_a_report_on_a_folder_without_runs_is_empty(tmp_path):
    rows = {name: catalog.fetch(tmp_path, one.sql, None, one.values({})).num_rows for name, one in shipped_reports().items()}
    assert {name for name, count in rows.items() if count} == {"dictionary"}


def answer(run, name: str, **given: str) -> list[dict]:
    report = find_report(name)
    return catalog.fetch(run.results, report.sql, run.id, report.values(given)).to_pylist()


def test_parameters_are_typed_bound_and_have_defaults(run):
    whole = {row["expression"]: row for row in answer(run, "reaction", at="0:02", window="2")}
    assert set(whole) == set(EXPRESSIONS)
    before, after = (run.sql(f"SELECT avg(happy) AS m, count(*) AS n FROM faces WHERE usable AND time_s >= {low} AND "
                             f"time_s < {low + 2}").to_pylist()[0] for low in (0, 2))
    assert whole["happy"]["before"] == pytest.approx(before["m"]) and whole["happy"]["after"] == pytest.approx(after["m"])
    assert (whole["happy"]["faces_before"], whole["happy"]["faces_after"]) == (before["n"], after["n"])
    assert len(answer(run, "minutes", step="1")) > len(answer(run, "minutes")) == 1


@pytest.mark.parametrize(("given", "words"), [
    ({"till": "3"}, "has no parameter --till; it has: --at, --window"),
    ({"at": "soon"}, "--at soon: needs a value of the kind 'time'"),
    ({"window": "1) OR (1=1"}, "needs a value of the kind 'number'"),
])
def test_wrong_parameters_are_one_sentence(run, given, words):
    with pytest.raises(ResultsError, match=re.escape(words)):
        answer(run, "reaction", **given)


def test_an_own_sql_file_is_a_report(run, tmp_path):
    mine = tmp_path / "mine.sql"
    mine.write_text("-- title: Mine\n-- description: Faces after\n-- an instant.\n-- parameter at: time: when\n"
                    "-- parameter word: text = it's: any\nSELECT count(*) AS n, $word AS word FROM faces WHERE time_s >= $at\n")
    report = find_report(str(mine))
    assert (report.title, report.description, len(report.parameters)) == ("Mine", "Faces after an instant.", 2)
    assert answer(run, str(mine), at="1:00", word="'; DROP TABLE x") == [{"n": 0, "word": "'; DROP TABLE x"}]
    with pytest.raises(ResultsError, match=r"needs --at \(when\)"):
        answer(run, str(mine))
    mine.write_text("-- parameter at: moment: when\nSELECT 1")
    with pytest.raises(ResultsError, match="is not of the form 'parameter NAME: KIND"):
        find_report(str(mine))


def test_spells_that_a_short_one_parted_are_one(run):
    rows = answer(run, "transitions", least="0")
    assert all(row["expression"] != row["next"] and row["persons"] >= 1 for row in rows)


def crowdmood(*arguments: str, results: Path):
    return subprocess.run([sys.executable, "-m", "crowdmood", "report", *arguments], capture_output=True, text=True,
                          timeout=120, env=os.environ | {"CROWDMOOD_RESULTS": str(results)})


def test_the_command_builds_the_newest_run_and_prints_the_path(run):
    ended = crowdmood(results=run.results)
    assert (ended.returncode, ended.stdout) == (0, f"{run.report}\n"), ended.stderr
    ended = crowdmood("concert.mp4", "--json", results=run.results)
    assert json.loads(ended.stdout) == {"run": RUN, "recording": "concert.mp4", "report": str(run.report),
                                        "timeline": str(run.report.with_name("timeline.png"))}


def test_the_command_prints_sql_reports(run):
    assert [row["name"] for row in json.loads(crowdmood("--list", "--json", results=run.results).stdout)] == sorted(shipped_reports())
    assert all(name in crowdmood("--list", results=run.results).stdout for name in shipped_reports())
    rows = json.loads(crowdmood("mix", "--json", results=run.results).stdout)
    assert {row["expression"] for row in rows} == {*EXPRESSIONS, "uncertain"}
    rows = json.loads(crowdmood("reaction", "--at", "0:02", "--window=1", "--run", RUN, "--json", results=run.results).stdout)
    assert {row["expression"] for row in rows} == set(EXPRESSIONS)
    assert crowdmood("happiest", "--csv", results=run.results).stdout.startswith("run,span,start_s,length_s,happy,faces,persons\n")


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (("nosuch",), 1, "no run matches 'nosuch'; known: ab12cd34ef56 (concert.mp4)"),
    (("concert.mp4", "--csv"), 2, "--csv, --parquet and parameters are for SQL reports"),
    (("mix", "--open"), 2, "--open is for the report of a run"),
    (("mix", "--csv", "--json"), 2, "exclude each other")])
def test_the_command_says_what_is_wrong(run, arguments, code, message):
    ended = crowdmood(*arguments, results=run.results)
    assert ended.returncode == code and message in ended.stderr and ended.stdout == ""


def test_curves_break_where_nothing_is_seen(run):
    curves = curves_of(figures(run)["bins"])
    values = curves.mix[0].copy()
    values[3] = np.nan
    assert stretches(curves, values) == [slice(0, 3), slice(4, FRAMES - EMPTY)]
    x, y = outline(curves, slice(4, 5), np.full(FRAMES, 0.5))
    assert x == pytest.approx([0.8, 0.9, 1.0]) and y == pytest.approx([0.5] * 3)


@pytest.mark.parametrize(("end", "expected"), [(1, 11), (12, 7), (600, 11), (7200, 9), (10800, 7)])
def test_ticks_are_round_and_few(end, expected):
    places = ticks(0, end, 11)
    assert len(places) == expected and places[0] == 0 and places[-1] <= end + 1e-6


def test_labels_never_touch():
    rng = np.random.default_rng(0)
    for _ in range(200):
        wanted = np.sort(rng.random(7) ** rng.choice([0.1, 1, 10]))
        places = spread(wanted, 0.088, 0.03, 0.97)
        assert np.diff(places).min() > 0.0879 and places[0] >= 0.0299 and places[-1] <= 0.9701


# Machado, Oliveira, Fernandes 2009: severity 1, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]}
TO_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]


def lab(colour: str, sight: str) -> np.ndarray:
    """CIE Lab of a colour as somebody of that sight sees it."""
    value = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(SIGHT[sight] @ linear, 0, 1) / [0.95047, 1, 1.08883]
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_stay_apart_for_every_sight(sight):
    for one, other in itertools.combinations(STACK_ORDER, 2):
        apart = np.linalg.norm(lab(EXPRESSION_COLOURS[one], sight) - lab(EXPRESSION_COLOURS[other], sight))
        assert apart >= 19, (one, other, apart)


@pytest.fixture(scope="module")
def chromium():
    if browser.PROGRAM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with browser.Browser() as one:
        yield one


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it_without_complaint_or_request(run, chromium, width, dark):
    chromium.open(run.report, width, dark)
    assert chromium.evaluate("document.querySelector('h1').textContent") == "concert.mp4"
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    background = chromium.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == dark
    assert chromium.requested() == [run.report.as_uri(), "data:,"] or chromium.requested() == [run.report.as_uri()]
    assert chromium.complaints() == []


def test_labels_do_not_overlap_in_a_browser(run, chromium):
    for width in (1280, 390):
        chromium.open(run.report, width)
        assert chromium.evaluate("""(() => {
            const wrong = [];
            for (const group of ['.chart>.axis b', '.persons .axis b', '.plot>b', '.name', '.legend li', 'thead button']) {
                const boxes = [...document.querySelectorAll(group)].map(e => [e.textContent, e.getBoundingClientRect()])
                    .filter(([, box]) => box.width);
                boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
                    if (p.left < q.right && q.left < p.right && p.top < q.bottom && q.top < p.bottom) wrong.push([a, b]);
                }));
            }
            return wrong;
        })()""") == []


def test_hovering_and_keys_show_time_and_figures(run, chromium):
    chromium.open(run.report)
    rest = chromium.evaluate("document.querySelector('.legend').textContent")
    point = chromium.evaluate("""(() => { const chart = document.getElementById('chart'); chart.scrollIntoView();
        const box = chart.getBoundingClientRect(); return [box.left + box.width * 2.1 / 8, box.top + 60]; })()""")
    chromium.call("Input.dispatchMouseEvent", type="mouseMoved", x=point[0], y=point[1])
    row = figures(run)["bins"].to_pylist()[10]
    assert chromium.evaluate("document.getElementById('when').textContent") == "0:02"
    assert "3 persons · 3 faces" in chromium.evaluate("document.getElementById('who').textContent")
    shown = chromium.evaluate("document.querySelector('[data-name=happy]').textContent").replace("\u202f", " ")
    assert shown == f"{int(np.floor(round(1000 * row['happy']) / 10 + 0.5))} %"
    chromium.evaluate("document.getElementById('chart').focus()")
    chromium.call("Input.dispatchKeyEvent", type="keyDown", key="End")
    assert chromium.evaluate("document.querySelector('[data-name=happy]').textContent") == "–"  # nobody is there
    chromium.call("Input.dispatchKeyEvent", type="keyDown", key="Escape")
    assert chromium.evaluate("document.querySelector('.legend').textContent") == rest
    assert chromium.complaints() == []


def test_persons_can_be_sorted(tmp_path, chromium):
    run = crowd_run(tmp_path, 25, 30)
    chromium.open(build_report(run))
    order = "[...document.querySelectorAll('[data-person]')].map(row => +row.dataset.person)"
    visible = "[...document.querySelectorAll('[data-person]')].filter(row => row.offsetHeight).length"
    chromium.evaluate("document.querySelector('[data-key=pos]').click()")
    assert chromium.evaluate(order) == run.sql("SELECT person FROM persons ORDER BY positivity DESC")["person"].to_pylist()
    assert chromium.evaluate("document.querySelector('[aria-sort]').textContent.trim()") == "Positivity"
    assert chromium.evaluate(visible) == 20
    chromium.evaluate("document.getElementById('all').click()")
    assert chromium.evaluate(visible) == 25


def test_an_evil_name_does_nothing_in_a_browser(tmp_path, chromium):
    chromium.open(build_report(crowd_run(tmp_path, 1, 10, EVIL)))
    assert chromium.evaluate("document.querySelector('h1').textContent") == EVIL
    assert chromium.complaints() == [] and len(chromium.requested()) <= 2
