"""Two hundred mutated recordings through the product; tests/fuzz_containers.py runs as many more as you like."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fuzz_containers import analyze_whole, outcome_of, resident_mib, run, sources

CASES = (*range(199), 294)  # in 294 a stream appears on the way, which PyAV does not expect
WHOLE = 10


@pytest.mark.slow
def test_mutated_recordings_end_in_rows_or_one_sentence_each(tmp_path):
    clips = sources(tmp_path, media=False)
    assert outcome_of(lambda: analyze_whole(clips[0], tmp_path / "first"))[0] == "rows"  # with networks loaded
    before, seen = resident_mib(), Counter()
    for case, said, _ in run(clips, tmp_path, CASES, WHOLE):
        seen[said.split(":")[0]] += 1
        assert "DEFECT" not in said, f"case {case.number}, {case.source}, {case.how}: {said}"
        assert "failed (" not in said, f"case {case.number}, {case.source}, {case.how}: {said}"  # a bug of ours, caught
    assert seen.keys() <= {"rows", "no rows", "error"} and seen["rows"] > 50 and seen["error"] > 30
    assert resident_mib() - before < 200
