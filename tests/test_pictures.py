"""Pictures for slides: they show what SQL says, are the same each time, and their colours can be told apart."""

from __future__ import annotations

import itertools
import shutil
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from crowdmood import answers
from crowdmood.canvas import save, spread
from crowdmood.curves import Curves, curves_of, outline, stretches, ticks, windows_of
from crowdmood.drawing import synchrony_paths
from crowdmood.heat import ABSENT, UNREAD, heat_of
from crowdmood.labels import EXPRESSIONS
from crowdmood.palette import DIVERGING, EXPRESSION_COLOURS, STACK_ORDER, UNREAD_COLOUR
from crowdmood.plots import timeline
from crowdmood.report import PICTURES, build_report
from crowdmood.results import Run
from tests.big_runs import BIG
from tests.made_runs import EMPTY, FRAMES, RUN
from tests.pages import coloured, picture

figures = cache(answers.figures)


@pytest.fixture(scope="module")
def run(reported, tmp_path_factory) -> Run:
    return Run(RUN, Path(shutil.copytree(reported, tmp_path_factory.mktemp("run") / "results")))


def test_the_picture_shows_each_expression_as_large_as_it_is(run):
    pixels = picture(run.report.with_name("timeline.png"))
    assert pixels.shape == (900, 1600, 3)
    bins = figures(run)["bins"]
    shares = {name: np.nanmean(bins[name].to_numpy().astype(float)) for name in EXPRESSIONS if name != "happy"}
    areas = {name: coloured(pixels, name) for name in shares}
    for name, share in shares.items():
        assert areas[name] / sum(areas.values()) == pytest.approx(share / sum(shares.values()), abs=0.015), name


def test_gaps_in_the_picture_are_gaps(run):
    """The last ten of forty frames have no face: the right quarter of the mix shows no expression at all."""
    pixels = picture(run.report.with_name("timeline.png"))[150:500]  # the mix alone
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
    save(timeline(curves, windows_of(None), [], overview, "x" * 200), tmp_path / "timeline.png")
    pixels = picture(tmp_path / "timeline.png")
    assert len({coloured(pixels, name) // 8000 for name in EXPRESSIONS}) == 1 and coloured(pixels, "sad") > 40_000


def test_the_same_run_gives_the_same_bytes(run):
    before = {path.name: path.read_bytes() for path in run.report.parent.iterdir()}
    build_report(run)
    assert {path.name: path.read_bytes() for path in run.report.parent.iterdir()} == before
    assert sorted(before) == sorted(["index.html", *(f"{name}.{form}" for name in PICTURES for form in ("png", "svg"))])


def test_svg_is_well_formed_and_keeps_its_text(run):
    for name in PICTURES:
        root = ElementTree.fromstring(run.report.with_name(f"{name}.svg").read_bytes())
        words = " ".join(root.itertext())
        assert "concert.mp4" in words and "0:00" in words, name


def test_heat_has_a_cell_where_a_person_is_seen(run):
    """Persons 1, 2, 3 are there for 6 of 8 s; a cell's value is that of SQL."""
    answers = figures(run)
    heat = heat_of(answers["heat"], (0.0, 8.0), 0.2)
    assert heat.persons.tolist() == [1, 2, 3] and heat.seen.shape == (3, FRAMES)
    assert heat.seen[:, :FRAMES - EMPTY].all() and not heat.seen[:, FRAMES - EMPTY:].any()
    value = run.sql("SELECT happy - greatest(angry, disgust, fear, sad) AS v FROM faces WHERE usable AND person = 2 AND frame = 60")
    if len(value):
        assert heat.positivity[1, 10] == pytest.approx(value["v"][0].as_py(), abs=1e-6)
    unread = run.sql("SELECT person, frame // 6 AS step FROM faces WHERE NOT usable").to_pylist()
    assert unread and all(heat.classes[row["person"] - 1, row["step"]] == UNREAD for row in unread)
    assert set(np.unique(heat.classes[heat.seen])) <= {UNREAD, *range(9)} and (heat.classes[~heat.seen] == ABSENT).all()


def test_the_heat_map_paints_absence_and_unread_cells(run):
    pixels = picture(run.report.with_name("persons.png"))
    unread = coloured(pixels[:750], UNREAD_COLOUR)
    share = np.mean(heat_of(figures(run)["heat"], (0.0, 8.0), 0.2).classes == UNREAD)
    row = (0.84 - 0.155) * 900 / 12  # at least twelve rows have room
    assert unread == pytest.approx(share * 3 * row * 0.9 * 1600, rel=0.15)


def test_synchrony_is_drawn_from_its_windows(crowd_reported):
    run = Run(BIG, crowd_reported)
    windows = windows_of(figures(run)["synchrony"])
    assert len(windows.start) > 5 and windows.significant.any()
    pixels = picture(run.report.with_name("synchrony.png"))
    assert coloured(pixels, "#245EA8") > 200  # the significant ones
    paths = synchrony_paths(windows, (0.0, 240.0))
    assert paths["sure"].count("M") == windows.significant.sum() and paths["dots"].count("M") == (~windows.significant).sum()


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


@pytest.mark.parametrize("sight", SIGHT)
def test_classes_of_positivity_stay_apart_and_in_order(sight):
    """Neighbours can be told apart, both ends are darker than the middle, and low is never taken for high."""
    colours = [lab(colour, sight) for colour in DIVERGING]
    for one, other in itertools.pairwise(colours):
        assert np.linalg.norm(one - other) >= 8
    lightness = [colour[0] for colour in colours]
    assert lightness[:5] == sorted(lightness[:5]) and lightness[4:] == sorted(lightness[4:], reverse=True)
    for low, high in zip(colours[:3], colours[:5:-1], strict=True):
        assert np.linalg.norm(low - high) >= 19
