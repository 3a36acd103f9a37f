"""A job with recordings and results on S3: a real server on loopback."""

from __future__ import annotations

import pytest

pytest.importorskip("s3fs", reason="the extra 's3' is not installed")
pytest.importorskip("moto.server", reason="the extra 'test' is not installed")

from crowdmood.results import list_runs
from crowdmood.s3 import S3Folder
from crowdmood.scheduling import history, turns
from crowdmood.scheduling.attempts import Desk
from crowdmood.scheduling.leases import Leases
from crowdmood.scheduling.ledger import Ledger
from crowdmood.scheduling.runner import leased, run_turn
from crowdmood.scheduling.workers import Pool
from tests.s3_server import new_bucket, serving
from tests.scheduling.job_specs import job
from tests.videos import Clip, write


@pytest.mark.slow
def test_recordings_on_s3_are_done_once_under_whatever_name(tmp_path, monkeypatch):
    with serving(tmp_path) as server:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        bucket = S3Folder(f"s3://{new_bucket(server, 'jobs')}")
        bucket.upload({"in/good.mp4": write(tmp_path / "good.mp4", Clip())})
        spec = job(tmp_path, sources=(f"{bucket}/in",), results=S3Folder(f"{bucket}/out"), reports=("minutes",))
        ledger = Ledger(spec.results)
        desk = Desk(ledger, Leases(ledger), Pool())

        def run() -> tuple[str, int, int]:
            with leased(desk, spec):
                summary = run_turn(desk, spec, "hand", turns.add(ledger, spec.name, "hand"))
            return summary.state, summary.found, summary.done

        try:
            assert run() == ("done", 1, 1), history.turns_of(ledger, None)
            assert [row["status"] for row in list_runs(spec.results)] == ["complete"]
            assert spec.results.read("reports/jobs/nightly/minutes.csv").startswith(b"run,")
            bucket.write("in/renamed.mp4", bucket.read("in/good.mp4"))
            bucket.remove(["in/good.mp4"])
            assert run() == ("done", 1, 0)
            server.refuses = lambda method, path: True
            state, *_ = run()
            assert state == "failed"
        finally:
            desk.leases.end()
            desk.pool.rest(0)
