"""Speech and names of runs on S3, on a real server on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("s3fs", reason="the extra 's3' is not installed")
pytest.importorskip("moto.server", reason="the extra 'test' is not installed")

from crowdmood.errors import ResultsError
from crowdmood.forgetting import MARK, forget_names
from crowdmood.options import Options
from crowdmood.results import find_run
from crowdmood.speech.writing import write_speech_on_s3
from crowdmood.video import probe
from tests.made_runs import RUN
from tests.test_s3 import bucket, folder, server, upload_run  # noqa: F401 fixtures
from tests.test_speech import cues, side

NAMES, SPEECH = f"names/run={RUN}.parquet", f"speech/run={RUN}.parquet"


@pytest.mark.slow
def test_speech_and_names_are_made_on_s3_again_and_again_and_forgotten(server, folder, tmp_path, clip):  # noqa: F811
    upload_run(folder)
    (tmp_path / "names.csv").write_text("number,name\n1,Ana Ruiz\n")
    meeting, recording, named = side(tmp_path, transcript=cues([(1.0, 3.0, 0), (4.0, 5.0, 1)])), probe(clip), Options(names=str(tmp_path / "names.csv"))

    def make(options: Options) -> bool:
        return write_speech_on_s3(folder, RUN, meeting, options, recording)

    assert make(named) and not make(named) and {NAMES, SPEECH} <= set(folder.files(""))
    first = {name: folder.read(name) for name in (NAMES, SPEECH)}
    run = find_run(folder, RUN)
    assert run.sql("SELECT speaker, person FROM speech").to_pylist() == [{"speaker": 1, "person": 1}, {"speaker": 2, "person": None}]
    assert make(Options()) and NAMES not in folder.files("") and make(named) and {name: folder.read(name) for name in first} == first
    assert not [path for path in folder.local.rglob("*.parquet") if RUN in path.name], "nothing is left on this machine"

    index = f"reports/concert.mp4/{RUN}/index.html"
    folder.write(index, b"a report with Ana Ruiz in it")
    server.refuses = lambda method, path: method == "PUT" and "index.html" in path
    with pytest.raises(ResultsError):
        forget_names(run)
    assert NAMES not in folder.files("") and MARK.format(run=RUN) in folder.files("names/"), "what is not finished can be told"
    server.refuses = lambda method, path: False
    gone = forget_names(run)
    assert gone.names == 3 and b"Ana" not in folder.read(index) and not folder.files("names/.run=") and run.sql("FROM names").num_rows == 0
    assert forget_names(run).names == 0 and not [path for path in Path(folder.local).rglob("*") if path.name.endswith(".forgotten")]
