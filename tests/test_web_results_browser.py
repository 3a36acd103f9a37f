"""The page of a run and the page SQL in a real browser: film and timeline follow each other, questions are answered where they are asked."""

from __future__ import annotations

import itertools

import pytest

from crowdmood.answers import figures
from crowdmood.results import Run
from tests import browser
from tests.made_runs import RUN
from tests.test_report_browser import CONTRAST
from tests.web_runs import BROKEN, GONE, ODD, make_results
from tests.web_server import serving


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="module")
def server(results):
    with serving(results) as one:
        yield one
        assert "Traceback" not in one.log.read_text()


@pytest.fixture(scope="module")
def chromium():
    if browser.PROGRAM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with browser.Browser("--autoplay-policy=no-user-gesture-required") as one:
        yield one


@pytest.fixture
def page(chromium, server):
    """The page of the run with its film there."""
    chromium.open(f"{server.address}/recordings/{RUN}")
    chromium.wait_for("film.readyState >= 1 && document.body.classList.contains('with-film')")
    yield chromium
    assert chromium.complaints() == []


def at(page, seconds: float, apart: float = 0.11) -> bool:
    """Whether the film comes to a time, and the timeline's cursor with it."""
    place = f"parseFloat(document.querySelector('.cursor.film').style.left) * {LENGTH} / 100"
    return bool(page.wait_for(f"Math.abs(film.currentTime - {seconds}) < {apart} && Math.abs({place} - film.currentTime) < 0.05"))


LENGTH = 7.8 + 0.2  # seconds that the timeline shows: 40 frames, one in 0.2 s


def test_a_click_on_the_timeline_seeks(page):
    x, y = page.evaluate("""(() => { chart.scrollIntoView({block: 'center'}); const box = chart.getBoundingClientRect();
        return [box.left + box.width * 0.25, box.top + 60]; })()""")
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left" if kind != "mouseMoved" else "none", clickCount=1)
    assert at(page, 0.25 * LENGTH)
    assert page.evaluate("document.getElementById('when').textContent").startswith("0:0")
    page.press("ArrowRight", 39)
    assert at(page, 0.25 * LENGTH + 0.1, 0.21) and page.evaluate("film.currentTime") > 0.25 * LENGTH
    page.press("End", 35)
    assert at(page, LENGTH - 0.2)


def test_moments_persons_and_addresses_lead_to_their_times(page, results):
    moment = figures(Run(RUN, results))["moments"][0]
    page.wait_for("document.querySelector('.still img').naturalWidth > 0")
    page.click(".moments .go")
    assert at(page, moment["peak_s"])
    page.evaluate("film.currentTime = 0")
    page.click(".moments .still img")
    assert at(page, moment["peak_s"])
    page.click("#persons tbody .go")
    assert at(page, page.evaluate("+document.querySelector('#persons tbody tr').dataset.first"))
    page.evaluate("document.getElementById('persons').focus()")
    for _ in range(9):
        page.press("ArrowDown" if _ == 0 else "ArrowRight", 40 if _ == 0 else 39)
    page.press("Enter", 13, "\r")
    assert at(page, page.evaluate("+document.getElementById('persons').dataset.at"))
    page.evaluate("location.hash = '#t=5.5'")
    assert at(page, 5.5)


def test_a_playing_film_moves_the_timeline(page):
    page.evaluate("film.muted = true; film.play()")
    page.wait_for("film.currentTime > 0.6 && document.querySelector('.readout').getAttribute('aria-live') === 'off'")
    page.evaluate("film.pause()")
    assert at(page, page.evaluate("film.currentTime"))
    shown = page.wait_for("document.getElementById('when').textContent !== 'Whole recording' && document.getElementById('when').textContent")
    assert shown.startswith("0:0") and page.evaluate("document.querySelector('.readout').getAttribute('aria-live')") == "polite"


def test_faces_are_drawn_over_the_film(page, results):
    page.evaluate("film.currentTime = 3.05")
    page.click("#show-boxes")
    faces = Run(RUN, results).sql("SELECT x1, y1, usable FROM faces WHERE time_s = 3.0 ORDER BY face").to_pylist()
    page.wait_for(f"boxes.childElementCount === {len(faces)}")
    drawn = page.evaluate("""(() => { const frame = film.getBoundingClientRect();
        return [...boxes.children].map(one => { const box = one.getBoundingClientRect();
            return [(box.left - frame.left) / frame.width * 320, (box.top - frame.top) / frame.height * 272, one.textContent]; }); })()""")
    for (left, top, text), face in zip(drawn, faces, strict=True):
        assert left == pytest.approx(face["x1"], abs=1) and top == pytest.approx(face["y1"], abs=1)
        assert text == ("happy 90 %" if face["usable"] else "uncertain")
    page.evaluate("film.currentTime = 7.5")
    page.wait_for("boxes.childElementCount === 0")  # nobody is in the last frames
    page.evaluate("film.currentTime = 1.05")
    page.wait_for("boxes.childElementCount > 0")
    page.click("#show-boxes")
    page.wait_for("boxes.childElementCount === 0")


def test_a_film_that_no_browser_plays_is_told(chromium, server):
    chromium.open(f"{server.address}/recordings/{BROKEN}")
    chromium.wait_for("!document.getElementById('unplayable').hidden")
    assert chromium.evaluate("document.querySelector('.stage').hidden")
    chromium.click("#chart")
    assert chromium.wait_for("document.getElementById('when').textContent").startswith("0:0")


@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_and_can_be_read(chromium, server, dark):
    for address, width in itertools.product((f"/recordings/{RUN}", f"/recordings/{GONE}", f"/recordings/{ODD}", f"/sql?run={RUN}&report=heat"), (1280, 390)):
        chromium.open(server.address + address, width, dark)
        assert chromium.evaluate("document.documentElement.scrollWidth") <= width, address
        assert chromium.evaluate(CONTRAST) == [], address
        assert chromium.complaints() == [], address
        assert all(one.startswith((server.address, "data:")) for one in chromium.requested())


def test_every_control_has_a_name(chromium, server):
    for address in (f"/recordings/{RUN}", f"/sql?run={RUN}&report=heat"):
        chromium.open(server.address + address)
        tree = chromium.call("Accessibility.getFullAXTree")["nodes"]
        roles = ("button", "link", "textbox", "combobox", "checkbox", "Video", "image")
        nameless = [node["role"]["value"] for node in tree if node.get("role", {}).get("value") in roles and not node["ignored"]
                    and not node.get("name", {}).get("value")]
        assert not nameless


def test_sql_is_asked_and_answered_in_the_page(chromium, server, results):
    chromium.open(f"{server.address}/sql?run={RUN}")
    chromium.evaluate("document.getElementById('query').value = ''; document.getElementById('query').focus()")
    chromium.type("SELECT second, happy FROM timeline ORDER BY ")
    chromium.click("details[open] [data-insert=second]")
    chromium.press("Enter", 13, "\r", modifiers=2)
    chromium.wait_for("document.querySelectorAll('#answer tbody tr').length")
    seconds = Run(RUN, results).timeline["second"].to_pylist()
    assert chromium.evaluate("[...document.querySelectorAll('#answer tbody tr')].map(row => +row.cells[0].textContent)") == seconds
    assert chromium.evaluate("document.querySelectorAll('#answer svg.picture path').length") > 3
    chromium.evaluate("document.getElementById('query').value = 'SELECT nonsense FROM timeline'; document.querySelector('#editor .first').click()")
    assert "nonsense" in chromium.wait_for("document.querySelector('#answer [role=alert]')?.textContent")
    assert chromium.complaints() == []


def test_a_report_is_asked_with_its_form(chromium, server):
    chromium.open(f"{server.address}/sql")
    chromium.evaluate(f"run.value = '{RUN}'; run.dispatchEvent(new Event('change'))")
    chromium.evaluate("[...document.querySelectorAll('.choices a')].find(one => one.textContent.includes('reaction')).click()")
    chromium.wait_for("document.activeElement.id === 'p_at'")
    chromium.type("0:03")
    chromium.press("Enter", 13, "\r")
    assert chromium.wait_for("document.querySelectorAll('#answer tbody tr').length") == 7
    assert chromium.evaluate("document.querySelector('#answer h2').textContent").startswith("Reaction after a given time")
    assert chromium.complaints() == []
