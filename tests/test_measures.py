"""Measures: right by an independent calculation, and right about crowds whose structure is known."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from crowdmood import catalog
from crowdmood.errors import ResultsError
from crowdmood.sql_reports import find_report, read_report
from tests.made_runs import RUN, make_run
from tests.planted import (
    ask,
    shares_called,
    shares_found,
    signals,
    together,
    write_crowd,
)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Nine persons for two minutes, all of them read; some synchrony. (results folder, their curves of positivity per second)"""
    results = tmp_path_factory.mktemp("crowd")
    curves = together(np.random.default_rng(3), signals(np.random.default_rng(2), 9, 240, 4), 0.1, 4)
    write_crowd(results, "nine", curves, fps=2, unread=0.0)
    faces = catalog.fetch(results, "SELECT person, floor(time_s)::INT AS second, avg(happy - greatest(angry, disgust, fear, sad)) "
                                   "AS p FROM faces GROUP BY 1, 2 ORDER BY 1, 2")
    return results, faces["p"].to_numpy().reshape(9, 120).astype(float)


def test_synchrony_is_the_mean_correlation_of_pairs_and_p_is_that_of_circular_shifts(crowd):
    results, curves = crowd
    rows = ask(results, "synchrony", window=45, step=15)
    assert [row["start_s"] for row in rows] == [0, 15, 30, 45, 60, 75]
    rng = np.random.default_rng(0)
    for row in rows:
        part = curves[:, int(row["start_s"]):int(row["end_s"])]
        pairs = np.corrcoef(part)[np.triu_indices(9, 1)]
        assert row["persons"] == 9 and row["synchrony"] == pytest.approx(pairs.mean(), abs=1e-5)
        by_chance = shifted_synchrony(rng, part, 4000)
        share = (by_chance >= pairs.mean()).mean()
        assert row["p"] == pytest.approx(share, abs=0.012 + 0.06 * share)
        assert row["usual"] == pytest.approx(np.quantile(by_chance, 0.95), abs=0.012)
        without = [np.corrcoef(np.delete(part, k, 0))[np.triu_indices(8, 1)].mean() for k in range(9)]
        error = np.sqrt(8 / 9 * np.sum((without - np.mean(without)) ** 2))
        assert row["high"] - row["synchrony"] == pytest.approx(1.96 * error, rel=1e-3)


def shifted_synchrony(rng, part, draws):
    """Mean pairwise correlations when each curve is shifted in a circle by chance, (draws,)."""
    persons, steps = part.shape
    z = part - part.mean(axis=1, keepdims=True)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    shift = (np.arange(steps) + rng.integers(0, steps, (draws, persons, 1))) % steps
    total = np.take_along_axis(np.broadcast_to(z, (draws, persons, steps)), shift, 2).sum(axis=1)
    return ((total**2).sum(axis=1) - persons) / (persons * (persons - 1))


def test_the_false_discovery_rate_is_that_of_benjamini_and_hochberg(crowd):
    rows = ask(crowd[0], "synchrony", window=20, step=4)
    p = np.array([row["p"] for row in rows])
    order = np.argsort(p)
    q = np.minimum.accumulate((p[order] * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    assert np.allclose([rows[k]["q"] for k in order], np.minimum(q, 1))
    assert all(row["significant"] == (row["q"] <= 0.05) for row in rows)


def test_smiles_a_second_apart_are_together_and_smiles_apart_by_more_are_not(tmp_path):
    rng = np.random.default_rng(5)
    smiles = np.where(lowpassed(signals(rng, 1, 1240, 0)) > 0.3, 2.5, -1.5)[0]
    delays = np.array([0, 2, 1, 2, 0, 1, 2])  # half seconds
    apart = np.arange(7) * 40
    for run, delay in (("near", delays), ("apart", apart)):
        curves = np.stack([smiles[300 - shift:1200 - shift] for shift in delay])
        write_crowd(tmp_path, run, curves + rng.normal(0, 0.2, curves.shape), fps=2, unread=0.05)
    near, far = (ask(tmp_path, "smiles", run) for run in ("near", "apart"))
    assert np.mean([row["significant"] for row in near]) > 0.9
    assert np.mean([row["significant"] for row in far]) < 0.2
    plain = ask(tmp_path, "synchrony", "near", curve="happy")
    assert np.mean([row["synchrony"] for row in near]) > np.mean([row["synchrony"] for row in plain])


def lowpassed(noise):
    kernel = np.ones(12) / np.sqrt(12)
    return np.apply_along_axis(np.convolve, 1, noise, kernel, "same")


def test_windows_need_enough_persons_who_can_be_read(crowd):
    assert ask(crowd[0], "synchrony", least=10) == []
    assert len(ask(crowd[0], "synchrony", least=9)) == 6
    with pytest.raises(ResultsError, match="positivity, valence or an expression"):
        ask(crowd[0], "synchrony", curve="love")


@pytest.fixture(scope="module")
def independent(once):
    """Eight independent persons for a day and an hour, a frame a second."""
    return once("independent", lambda folder: write_crowd(folder, "planted", signals(np.random.default_rng(0), 8, 90_360, 2), 1))


@pytest.mark.slow
@pytest.mark.parametrize("report", ["synchrony", "smiles"])
def test_independent_persons_are_rarely_called_synchronous(independent, report):
    at_p, at_q, windows = shares_called(independent, report)
    assert windows >= 2000
    assert at_p <= 0.06
    assert at_q <= 0.01


@pytest.mark.slow
def test_a_common_signal_is_found():
    at_p, at_q, windows = shares_found("synchrony", persons=20, correlation=0.2, memory_s=2, hours=1.5, fps=5, seed=1)
    assert windows >= 119
    assert at_p >= 0.9 and at_q >= 0.9


@pytest.mark.slow
def test_planted_moments_are_found_and_noise_has_none(tmp_path):
    rng = np.random.default_rng(7)
    fps, minutes = 5, 30
    noise = signals(rng, 20, 60 * minutes * fps, fps)
    write_crowd(tmp_path, "noise", noise, fps)
    assert sum(row["kind"] == "together" for row in ask(tmp_path, "moments", "noise")) <= minutes / 10
    at = 40 + 59 * np.arange(minutes) + rng.uniform(-9, 9, minutes)
    plant(rng, noise, at, persons=8, fps=fps)
    write_crowd(tmp_path, "planted", noise, fps)
    found = [row for row in ask(tmp_path, "moments", "planted") if row["direction"] == "more"]
    away = np.abs(np.array([row["peak_s"] for row in found])[:, None] - at)
    assert (away.min(axis=0) <= 1).all()
    assert (away.min(axis=1) > 2).sum() <= minutes / 10
    assert all(row["expression"] == "happy" and row["persons"] >= 3 and row["start_s"] <= row["peak_s"] <= row["end_s"]
               for row in found)


def plant(rng, curves, at, persons, fps):
    """At each time of `at`, this many persons begin to smile within a second, for 5 to 12 s; the noise is made smaller."""
    curves *= 0.7
    time = np.arange(curves.shape[1]) / fps
    for instant in at:
        for who in rng.choice(len(curves), persons, replace=False):
            onset = instant + rng.uniform(-0.5, 0.5)
            curves[who] += 2.5 * ((time >= onset) & (time < onset + rng.uniform(5, 12)))


def test_a_run_without_common_moments_shows_its_peaks(tmp_path):
    write_crowd(tmp_path, "one", np.where(np.arange(100) > 60, 3.0, -2.0)[None], 5, unread=0)
    rows = ask(tmp_path, "moments")
    assert rows and all(row["kind"] == "peak" for row in rows)
    assert rows[0]["expression"] == "happy" and rows[0]["start_s"] >= 12


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    results = tmp_path_factory.mktemp("made")
    make_run(results)
    return results, catalog.fetch(results, "FROM faces ORDER BY frame, face").to_pandas()


def test_headline_figures_agree_with_an_independent_calculation(made):
    results, faces = made
    rows = {row["measure"]: row for row in ask(results, "headline")}
    read = faces[faces.usable]
    mean = read[["angry", "disgust", "fear", "sad", "happy", "valence"]].mean()
    assert rows["happy"]["value"] == pytest.approx(mean.happy, abs=1e-6)
    assert rows["positivity"]["value"] == pytest.approx(mean.happy - mean[["angry", "disgust", "fear", "sad"]].max(), abs=1e-6)
    assert rows["valence"]["value"] == pytest.approx(mean.valence, abs=1e-6)
    assert rows["coverage"]["value"] == pytest.approx(len(read) / len(faces), abs=1e-6)
    lively = (1 - read.neutral) - (1 - read.neutral).groupby(read.person).transform("median")
    assert rows["expressiveness"]["value"] == pytest.approx(lively.mean(), abs=1e-5)
    assert rows["presence"]["value"] == pytest.approx(faces.groupby("person").frame.nunique().mean() / 40)
    assert rows["happy"]["persons"] == 3 and rows["happy"]["faces"] == len(read) and rows["happy"]["few"]
    assert not ask(results, "headline", min_persons=3)[0]["few"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows.values() if row["low"] is not None)
    assert "synchrony" not in rows  # too short, too few persons: no figure rather than a poor one


def test_intervals_are_those_of_a_bootstrap_over_persons(tmp_path):
    rng = np.random.default_rng(11)
    level = rng.normal(0, 1.2, (30, 1))
    write_crowd(tmp_path, "levels", level + rng.normal(0, 0.3, (30, 200)), 5, unread=0.2)
    row = next(row for row in ask(tmp_path, "headline", draws=2000) if row["measure"] == "happy")
    sums = catalog.fetch(tmp_path, "SELECT sum(happy) s, count(*) n FROM faces WHERE usable GROUP BY person").to_pandas()
    weight = rng.multinomial(30, np.full(30, 1 / 30), 4000)
    low, high = np.quantile((weight @ sums.s) / (weight @ sums.n), [0.025, 0.975])
    assert row["low"] == pytest.approx(low, abs=0.12 * (high - low))
    assert row["high"] == pytest.approx(high, abs=0.12 * (high - low))
    over_faces = 0.5 / np.sqrt(30 * 200)  # the standard error if faces, and not persons, were drawn
    assert row["high"] - row["low"] > 8 * over_faces


def test_one_person_has_no_interval(tmp_path):
    write_crowd(tmp_path, "one", signals(np.random.default_rng(0), 1, 100, 5), 5)
    assert all(row["low"] is None and row["high"] is None and row["few"] for row in ask(tmp_path, "headline"))


def test_segments_are_measured_apart(made, tmp_path):
    results, faces = made
    listed = tmp_path / "songs.csv"
    listed.write_text("name,start,end\nEarly,0,0:02\n\"Late, slow\",2,4\nNobody,7,8\n")
    rows = ask(results, "segments", segments=str(listed))
    for name, start, end in (("Early", 0, 2), ("Late, slow", 2, 4)):
        read = faces[faces.usable & (faces.time_s >= start) & (faces.time_s < end)]
        row = next(row for row in rows if row["segment"] == name and row["measure"] == "happy")
        assert row["value"] == pytest.approx(read.happy.mean(), abs=1e-6)
        assert row["faces"] == len(read) and (row["start_s"], row["end_s"]) == (start, end)
    assert not any(row["segment"] == "Nobody" for row in rows)
    assert ask(results, "segments", segments=[{"name": "Early", "start_s": 0.0, "end_s": 2.0}])[0]["segment"] == "Early"


def test_engagement_is_the_weighted_mean_of_z_scores_and_prints_its_formula(tmp_path):
    write_crowd(tmp_path, "hall", together(np.random.default_rng(1), signals(np.random.default_rng(0), 8, 1500, 10), 0.3, 10), 5)
    weights = tomllib.loads((ROOT / "reports" / "engagement.toml").read_text())
    rows = ask(tmp_path, "engagement")
    assert len(rows) == 10
    for name in weights:
        values = np.array([row[name] for row in rows])
        assert np.allclose([row[f"z_{name}"] for row in rows if row[f"z_{name}"] is not None],
                           ((values - values.mean()) / values.std(ddof=1)) if values.std() > 0 else [])
    for row in rows:
        there = {name: weight for name, weight in weights.items() if row[f"z_{name}"] is not None}
        expected = sum(weight * row[f"z_{name}"] for name, weight in there.items()) / sum(there.values())
        assert row["engagement"] == pytest.approx(expected)
        assert row["low"] <= row["engagement"] <= row["high"]
        assert all(f"{weight:.2g} z({name})" in row["formula"] for name, weight in weights.items())
    only = ask(tmp_path, "engagement", positivity="1", expressiveness="0", presence="0", synchrony="0")
    assert [row["engagement"] for row in only] == pytest.approx([row["z_positivity"] for row in rows])


def test_a_users_report_can_use_another(tmp_path, crowd):
    mine = tmp_path / "mine.sql"
    mine.write_text("-- title: Best window\n-- uses: synchrony\n-- parameter window: number = 30: shorter than usual\n"
                    "WITH best AS (SELECT max(synchrony) AS most FROM synchrony) SELECT most FROM best;\n")
    report = find_report(str(mine))
    assert {"window", "step", "curve"} <= {parameter.name for parameter in report.parameters}
    most = catalog.fetch(crowd[0], report.sql, values=report.values({}))["most"][0].as_py()
    assert most == pytest.approx(max(row["synchrony"] for row in ask(crowd[0], "synchrony", window=30)))
    mine.write_text("-- uses: nonsense\nSELECT 1")
    with pytest.raises(ResultsError, match="nonsense"):
        read_report(mine)


def test_every_measure_is_documented():
    text = (ROOT / "docs" / "measures.md").read_text()
    sql = (ROOT / "reports" / "headline.sql").read_text()
    named = [line.split("'")[1] for line in sql.splitlines() if line.startswith("    (")]
    assert RUN and len(named) >= 14
    assert not [name for name in (*named, "moments", "engagement", "smile synchrony") if f"## {name.capitalize()}" not in text
                and f"`{name}`" not in text]
    for name, weight in tomllib.loads((ROOT / "reports" / "engagement.toml").read_text()).items():
        assert f"{weight:g} z({name})" in text
