"""What all pages share, in a real browser: signing in, the rules that hold scripts, proofs that outlive a server, keyboard and contrast."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from crowdmood.web.web_pages import HERE
from tests.browser import PROGRAM, Browser
from tests.web_server import serving

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium")
TOKEN = "one two three four"
PAGES = ("/recordings", "/photos", "/live", "/sql", "/api", "/nowhere")


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("guarded"), token=TOKEN) as server:
        yield server


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("local")) as server:
        yield server
        assert not server.log.read_text()


@pytest.fixture
def fresh(browser):
    """A browser that knows nobody."""
    browser.call("Network.clearBrowserCookies")
    return browser


def arrived(browser: Browser, path: str) -> None:
    browser.wait_for(f"location.pathname + location.search === {path!r} && document.readyState === 'complete'")


def test_signing_in_and_out_with_the_keyboard(fresh, guarded):
    fresh.open(f"{guarded.address}/api?from=elsewhere")
    arrived(fresh, "/login?next=%2Fapi%3Ffrom%3Delsewhere")
    assert fresh.evaluate("document.activeElement.id") == "token" and fresh.evaluate("document.querySelectorAll('nav a').length") == 1
    fresh.type("this is wrong")
    fresh.press("Enter", 13, "\r")
    fresh.wait_for("document.readyState === 'complete' && document.getElementById('wrong')")
    assert fresh.evaluate("document.getElementById('token').getAttribute('aria-describedby')") == "hint wrong"
    fresh.type(TOKEN)
    fresh.press("Enter", 13, "\r")
    arrived(fresh, "/api?from=elsewhere")
    assert fresh.evaluate("document.cookie") == ""  # scripts cannot read it
    fresh.click("footer form button")
    arrived(fresh, "/login")
    fresh.open(f"{guarded.address}/api")
    arrived(fresh, "/login?next=%2Fapi")


def test_the_printed_address_signs_in_and_leaves_no_token_behind(fresh, guarded):
    fresh.open(f"{guarded.address}/login?next=/api#token={TOKEN.replace(' ', '%20')}")
    arrived(fresh, "/api")
    assert not [address for address in fresh.requested() if "token=" in urlsplit(address).query]
    fresh.call("Page.navigate", url=f"{guarded.address}/login?next=/nowhere")  # signed in already
    arrived(fresh, "/nowhere")


def test_no_inline_script_runs(fresh, local):
    fresh.open(f"{local.address}/api")
    fresh.evaluate("""window.seen = []; document.addEventListener('securitypolicyviolation', event => seen.push(event.violatedDirective));
        const script = document.createElement('script'); script.textContent = 'window.ran = 1'; document.body.append(script);
        const picture = document.createElement('img'); picture.setAttribute('onerror', 'window.ran = 2'); picture.src = 'data:,'; document.body.append(picture);
        const far = document.createElement('img'); far.src = 'https://attacker.example/x.png'; document.body.append(far);
        setTimeout('window.ran = 3');""")
    fresh.wait_for("['script-src-elem', 'script-src-attr', 'img-src', 'script-src'].every(kind => seen.includes(kind))")
    assert fresh.evaluate("window.ran === undefined")


def test_a_page_works_on_when_the_server_was_started_again(fresh, tmp_path):
    with serving(tmp_path) as server:
        fresh.open(f"{server.address}/api")
        before = fresh.evaluate("document.querySelector('meta[name=csrf]').content")
    ask = """(async () => { const {send} = await import('/static/crowdmood.js');
        try { await send(...%s); window.told = 'done' } catch (error) { window.told = error.message } })()"""
    with serving(tmp_path, "--port", str(urlsplit(server.address).port)):
        fresh.evaluate(ask % "['POST', '/logout']")
        assert fresh.wait_for("window.told") == "done"
        assert fresh.evaluate("document.querySelector('meta[name=csrf]').content") != before
        fresh.evaluate("window.told = ''")
        fresh.evaluate(ask % "['POST', '/api/uploads', {name: ''}]")
        assert fresh.wait_for("window.told").startswith("name: ")  # what is wrong, as the server says it
    fresh.evaluate("window.told = ''")
    fresh.evaluate(ask % "['GET', '/api/uploads']")
    assert fresh.wait_for("window.told") == "The server cannot be reached."


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_can_be_used_by_everybody(fresh, local, width):
    """Headings, names of what can be filled in or pressed, the way to the content; nothing wider than the screen; no complaint."""
    nameless = """[...document.querySelectorAll('input:not([type=hidden]):not([hidden]), select, textarea, button, a[href]')].filter(each =>
        !each.closest('[hidden]') && !(each.labels?.length || each.textContent.trim() || each.getAttribute('aria-label')
        || each.getAttribute('aria-labelledby') || each.title)).map(each => each.outerHTML)"""
    for path in PAGES:
        fresh.open(local.address + path, width)
        fresh.wait_for("document.readyState === 'complete'")
        assert fresh.evaluate("[document.querySelectorAll('h1').length, document.querySelectorAll('main').length]") == [1, 1], path
        assert fresh.evaluate("document.documentElement.lang") == "en" and fresh.evaluate("document.title").endswith("· crowdmood")
        assert fresh.evaluate(nameless) == [], path
        assert fresh.evaluate("document.documentElement.scrollWidth") <= width, path
        fresh.press("Tab", 9)
        assert fresh.evaluate("document.activeElement.className") == "skip" or "autofocus" in fresh.evaluate("document.activeElement.outerHTML"), path
        assert path == "/nowhere" or not fresh.complaints(), path


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    colour = "#" + "".join(letter * 2 for letter in colour[1:]) if len(colour) == 4 else colour
    shares = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_controls_stand_out(scheme):
    rules = re.findall(r":root\{([^}]*)\}", (HERE / "static" / "crowdmood.css").read_text())[scheme]
    colours = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})(?=;|$)", rules))
    for front, back, least in [
        *((ink, paper, 4.5) for ink in ("ink", "muted", "accent", "bad") for paper in ("paper", "card")), ("ink", "warm", 4.5), ("on-accent", "accent", 4.5),
        ("paper", "ink", 4.5), ("control", "card", 3), ("control", "paper", 3),
    ]:
        high, low = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= least, (front, back)
