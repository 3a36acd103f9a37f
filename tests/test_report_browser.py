"""The report in a real browser: it shows what SQL says, on every width, in the dark and on paper."""

from __future__ import annotations

import base64
import itertools
import re
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from crowdmood import answers
from crowdmood.answer_pages import write_page
from crowdmood.comparison import compare_runs
from crowdmood.pages import signed
from crowdmood.report import build_report
from crowdmood.results import Run
from crowdmood.sql_reports import find_report
from tests import browser
from tests.big_runs import BIG
from tests.made_runs import RUN, make_run
from tests.pages import EVIL, crowd_run

figures = cache(answers.figures)


@pytest.fixture(scope="module")
def run(reported, tmp_path_factory) -> Run:
    return Run(RUN, Path(shutil.copytree(reported, tmp_path_factory.mktemp("run") / "results")))


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
    point = chromium.evaluate("""(() => { const chart = document.getElementById('chart'); chart.scrollIntoView({block: 'start'});
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


@pytest.fixture(scope="module")
def crowd(crowd_reported, tmp_path_factory) -> Run:
    """Twelve persons over four minutes with a planted moment: with synchrony, moments and a heat map."""
    return Run(BIG, Path(shutil.copytree(crowd_reported, tmp_path_factory.mktemp("crowd") / "results")))


def text_of(chromium, name: str) -> str:
    return chromium.evaluate(f"document.getElementById('{name}').textContent").replace("\u202f", " ")


def point(chromium, x: float, y: float) -> None:
    chromium.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)


@pytest.mark.parametrize("share", [0.1013, 0.3713, 0.8013])
def test_all_figures_at_a_time_are_those_of_sql(crowd, chromium, share):
    chromium.open(crowd.report)
    left, width, top = chromium.evaluate("""(() => { const chart = document.getElementById('chart');
        chart.scrollIntoView({block: 'start'}); const box = chart.getBoundingClientRect();
        return [box.left, box.width, box.top + 60]; })()""")
    point(chromium, left + share * width, top)
    at, answers = share * 240, figures(crowd)
    row = next(row for row in answers["bins"].to_pylist() if row["start_s"] <= at < row["end_s"])
    assert text_of(chromium, "positivity") == signed(round(row["positivity"], 2))
    assert text_of(chromium, "who").startswith(f"{row['persons']} persons")
    assert float(text_of(chromium, "faces")) == pytest.approx(row["faces"], abs=0.051)
    middle = (row["start_s"] + row["end_s"]) / 2
    near = [one for one in answers["synchrony"].to_pylist() if one["start_s"] <= middle <= one["end_s"]]
    if near:
        best = min(near, key=lambda one: abs((one["start_s"] + one["end_s"]) / 2 - middle))
        words = "more than by chance" if best["significant"] else "not told from chance"
        assert text_of(chromium, "synchrony").startswith(f"{signed(round(best['synchrony'], 3))}, {words} · {best['persons']} persons")


def test_a_moment_leads_to_its_time(crowd, chromium):
    chromium.open(crowd.report)
    moment = figures(crowd)["moments"][0]
    chromium.evaluate("document.querySelector('.go').click()")
    assert f"{moment['direction']} {moment['expression']}" in text_of(chromium, "who")
    assert chromium.evaluate("document.querySelectorAll('.dots i.on').length") >= 1


def test_the_heat_map_tells_person_time_and_positivity(crowd, chromium):
    chromium.open(crowd.report)
    person, x, y = chromium.evaluate("""(() => { const row = document.querySelector('[data-person]');
        row.scrollIntoView({block: 'center'}); const box = row.querySelector('svg').getBoundingClientRect();
        return [+row.dataset.person, box.left + box.width * 0.5, box.top + 5]; })()""")
    point(chromium, x, y)
    row = next((row for row in figures(crowd)["heat"].to_pylist() if row["person"] == person and row["start_s"] <= 120.2 < row["end_s"]), None)
    words = "not in the picture" if row is None else "could not be read" if row["positivity"] is None else f"positivity {signed(round(row['positivity'], 2))}"
    assert text_of(chromium, "tip") == f"Person {person} · 2:00 – 2:01 · {words}"
    assert not chromium.evaluate("document.getElementById('tip').hidden")
    chromium.evaluate("document.getElementById('persons').focus()")
    chromium.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowDown")
    other = chromium.evaluate("+document.querySelectorAll('[data-person]')[1].dataset.person")
    assert text_of(chromium, "tip").startswith(f"Person {other} · 2:00")
    chromium.call("Input.dispatchKeyEvent", type="keyDown", key="Escape")
    assert chromium.evaluate("document.getElementById('tip').hidden")


@pytest.mark.parametrize("key", ["person", "first", "seen", "pos"])
def test_headers_sort_both_ways(crowd, chromium, key):
    chromium.open(crowd.report)
    column = {"person": "person", "first": "first_s", "seen": "seen_s", "pos": "positivity"}[key]
    values = {row["person"]: row[column] for row in crowd.persons.to_pylist()}
    for _ in range(2):
        chromium.evaluate(f"document.querySelector('[data-key={key}]').click()")
        way = chromium.evaluate("document.querySelector('[aria-sort]').getAttribute('aria-sort')")
        shown = chromium.evaluate("[...document.querySelectorAll('[data-person]')].map(row => +row.dataset.person)")
        order = [values[person] for person in shown]
        assert order == sorted(order, reverse=way == "descending")


CONTRAST = """(() => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const light = colour => { canvas.fillStyle = '#000'; canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0); };
    const paper = one => { for (; one; one = one.parentElement) { const c = getComputedStyle(one).backgroundColor;
        if (!c.endsWith(', 0)') && c !== 'transparent') return c; } return '#fff'; };
    document.querySelectorAll('details').forEach(one => { one.open = true; });
    const wrong = [];
    for (const one of document.querySelectorAll('p, td, th, dt, dd, h1, h2, h3, span, b, small, button, em, caption')) {
        if (!one.offsetHeight || ![...one.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
        const [a, b] = [light(getComputedStyle(one).color), light(paper(one))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) wrong.push([one.textContent.trim().slice(0, 30), (a + 0.05) / (b + 0.05)]);
    }
    return wrong;
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_background(crowd, chromium, dark):
    chromium.open(crowd.report, dark=dark)
    assert chromium.evaluate(CONTRAST) == []


@pytest.mark.slow
def test_no_page_scrolls_sideways(crowd, chromium, tmp_path):
    songs = [{"name": f"A song with quite a long name, number {place}", "start_s": 40.0 * place, "end_s": 40.0 * place + 39}
             for place in range(5)]
    make_run(crowd.results)
    pages = [build_report(crowd, segments=songs), compare_runs([crowd, Run(RUN, crowd.results)]), tmp_path / "minutes.html"]
    write_page(find_report("minutes"), {}, crowd.ask("minutes"), pages[-1])
    for page, width in itertools.product(pages, (1280, 768, 390)):
        chromium.open(page, width)
        assert chromium.evaluate("document.documentElement.scrollWidth") <= width, page
        assert chromium.complaints() == [] and len(chromium.requested()) <= 2


def test_it_prints_with_all_persons_and_the_method(crowd, chromium):
    chromium.open(crowd.report)
    before = chromium.evaluate("document.querySelector('details').open")
    data = base64.b64decode(chromium.call("Page.printToPDF", printBackground=True)["data"])
    assert not before and data.startswith(b"%PDF") and 2 <= len(re.findall(rb"/Type /Page\b", data)) <= 12
    assert chromium.evaluate("document.querySelector('details').open")


def test_an_evil_name_does_nothing_in_a_browser(tmp_path, chromium):
    chromium.open(build_report(crowd_run(tmp_path, 1, 10, EVIL)))
    assert chromium.evaluate("document.querySelector('h1').textContent") == EVIL
    assert chromium.complaints() == [] and len(chromium.requested()) <= 2
