import pytest

from crowdmood.errors import CrowdmoodError
from crowdmood.options import Execution, Options


@pytest.mark.parametrize(("setting", "value", "says"), [
    ("sample_fps", 0, "sample_fps must be above 0"),
    ("sample_fps", -5.0, "sample_fps must be above 0"),
    ("start_s", -1.0, "must come after the start"),
    ("end_s", 0.0, "must come after the start"),
    ("imgsz", 650, "multiple of 32"),
    ("imgsz", 32, "multiple of 32"),
    ("tiles", "many", "such as 2x3"),
    ("tiles", "0x3", "such as 2x3"),
    ("min_face", 0.0, "min_face"),
    ("roi", (10, 10, 10, 50), "a rectangle is"),
    ("ignore", ((0, 0, 5, 5), (9, 9, 3, 3)), "a rectangle is"),
])
def test_values_that_make_no_sense_are_one_sentence(setting, value, says):
    with pytest.raises(CrowdmoodError, match=says):
        Options(**{setting: value})


@pytest.mark.parametrize(("setting", "value"), [("workers", 0), ("threads", 0)])
def test_execution_is_checked_too(setting, value):
    with pytest.raises(CrowdmoodError, match=setting):
        Execution(**{setting: value})


def test_what_changes_rows_is_in_the_run_and_where_a_model_lies_is_not():
    rows = Options(sample_fps=2.0, detector="/some/where").rows()
    assert rows["sample_fps"] == 2.0 and "detector" not in rows and "expression" not in rows
