"""The card and the page with the figures that were measured."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from crowdmood.errors import ModelError
from crowdmood.training import detector_evaluation as evaluation
from crowdmood.training import detector_tables as tables
from crowdmood.training.detector_card import add_figures, page, toml_text
from crowdmood.training.detector_plots import curves_png

CARD = {
    "kind": "face detector", "name": "face-9", "architecture": "YOLO11n, one class", "parameters": 7, "licence": "none",
    "provenance": "Made up", "limits": "Not for use.", "detect": {"score": 0.3},
    "training": {"command": "crowdmood train detector", "steps": 1, "settings": {"batch": 2}, "seconds": 60,
                 "device": "cpu", "note": ""},
    "held_out": {"precision": 0.9, "pictures": 1, "faces": 2, "ap": 0.5, "recall": 0.4, "precise_score": 0.2, "scenes": 400},
}


def pictures() -> tuple[list[dict], dict]:
    """Six pictures with a face of 30 px each; one detector finds four of them, the other one and a wrong one."""
    truth, image = np.array([[10, 10, 40, 40]], np.float32), np.zeros((100, 100, 3), np.uint8)
    rows = [{"image": image, "boxes": truth, "source": "facecount"} for _ in range(6)]
    right, wrong = (truth, np.array([0.8])), (truth + 50, np.array([0.9]))
    nothing = (truth[:0], np.zeros(0))
    return rows, {"face-9": [right] * 4 + [nothing] * 2, "yunet own size": [right, wrong] + [nothing] * 4}


def metrics() -> dict:
    rows, found = pictures()
    return evaluation.evaluate(found, rows, dict.fromkeys(found, 0.5))


def test_detectors_are_compared_on_the_same_resampled_pictures():
    bands = metrics()
    own, other = bands["face-9"]["human"]["24-48"], bands["yunet own size"]["human"]["24-48"]
    assert own["ap"] == pytest.approx(4 / 6, abs=1e-3) and own["faces"] == 6 and own["recall_shown"] == own["recall"]
    assert "ap_behind" not in own and other["ap_behind"][0] >= 0
    assert other["precision_shown"] == 0.5 and "teacher" not in bands["face-9"]


def test_figures_go_into_the_card_and_stay_there(tmp_path):
    (tmp_path / "card.toml").write_text(toml_text(CARD))
    add_figures(tmp_path, {"metrics": metrics()})
    one = {"easy": 0.9, "medium": 0.8, "hard": 0.7}
    add_figures(tmp_path, {"widerface": {"face-9": one}, "evaluation": {"command": "crowdmood evaluate detector"}})
    card = tomllib.loads((tmp_path / "card.toml").read_text())
    assert card == {**CARD, "metrics": metrics(), "widerface": {"face-9": one},
                    "evaluation": {"command": "crowdmood evaluate detector"}}
    assert '"24-48" = {' in toml_text(card) or "24-48 = {" in toml_text(card)  # one line for each band
    text = (tmp_path / "README.md").read_text()
    assert "yunet own size" in text and "| 90.0 " in text and "    crowdmood evaluate detector" in text


def test_a_model_of_another_kind_is_refused(tmp_path):
    (tmp_path / "card.toml").write_text('kind = "expression classifier"\n')
    with pytest.raises(ModelError, match="needed: face detector"):
        add_figures(tmp_path, {})


def test_the_page_has_a_section_for_everything_measured():
    counted = {"frames": 200, "false_faces": 1, "per_200": 1.0, "per_200_interval": [0.03, 5.6], "score": 0.3, "best": 0.4,
               "at": [9, 5, 1, 1, 0, 0, 0, 0]}
    tiled = {"pictures": 3, "faces_small": 1200, "faces_large": 4, "recall_small": 0.5, "recall_large": 0.75,
             "wrong": 0.5, "ms": 31.0}
    card = {**CARD, "metrics": metrics(), "false_faces": {"scenes": {"face-9": counted}}, "tiles": {"crowds": {"2x2": tiled}},
            "speed": {"picture": "612 x 408", "face-9": {"ms": 30.0, "processor_ms": 29.0, "runtime": "openvino", "score": 0.3}}}
    text = page(card)
    row = next(line for line in text.splitlines() if line.startswith("| 0.25 "))
    assert [cell.strip() for cell in row.split("|")[1:-1]] == ["0.25", "0.000", "0.000", "0.667", "1.000", "5"]
    for part in ("612 x 408", "1.00 [0.030, 5.600]", "0.500 of 1,200", f"]({tables.CURVES})", "## False faces"):
        assert part in text
    assert "## Tiles" not in page({**CARD, "metrics": metrics()}) and "## Figures" not in page(CARD)


def test_curves_are_a_small_picture(tmp_path):
    rows, found = pictures()
    curves_png(tmp_path / "curves.png", found, rows, dict.fromkeys(found, 0.5))
    assert 5_000 < (tmp_path / "curves.png").stat().st_size < 60_000
