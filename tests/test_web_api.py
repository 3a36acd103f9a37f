"""Every operation of the API, asked with what its description allows and with what it does not: answers are as described,
and never an error of the server."""

from __future__ import annotations

import re
import shutil

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.made_runs import RUN
from tests.web_server import serving

FOR_EVER = "/api/analyses/events"  # a stream that does not end
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 3  # of each operation, for each way to ask


@pytest.fixture(scope="module")
def server(reported, tmp_path_factory):
    results = shutil.copytree(reported, tmp_path_factory.mktemp("api") / "results")
    with serving(results) as server:
        yield server
        log = server.log.read_text()
        assert "Traceback" not in log and "ERROR" not in log


@pytest.fixture(scope="module")
def known(server) -> dict[str, str]:
    """Ids of things that are there, by the parameter's name."""
    with server.program() as client:
        upload = client.post("/api/uploads", json={"name": "concert.mp4", "size_bytes": 1000}).json()["id"]
        album = client.post("/api/photos/albums", json={"name": "holidays"}).json()["album"]
    return {"run": RUN, "upload": upload, "album": album}


@pytest.fixture(scope="module")
def operations(server):
    schema = schemathesis.openapi.from_url(f"{server.address}/api/openapi.json")
    found = [each.ok() for each in schema.get_all_operations()]
    return [each for each in found if each.path != FOR_EVER]


@pytest.mark.slow
def test_no_question_breaks_the_server(operations, known):
    asked = 0
    for operation in operations:
        there = {name: known[name] for name in re.findall(r"\{(\w+)\}", operation.path) if name in known}
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            # a thing that is there is not removed: the others want to ask for it
            for ids in [{}, there] if there and operation.method != "delete" else [{}]:
                asked += _ask(operation, mode, ids)
    assert asked >= EXAMPLES * len(operations)


def _ask(operation, mode: GenerationMode, ids: dict[str, str]) -> int:
    """How often a question of this kind was asked; raises where the server breaks."""
    asked = 0

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(mode, path_parameters=ids))
    def ask(case):
        nonlocal asked
        asked += 1
        case.call_and_validate(checks=CHECKS, timeout=120)

    try:
        ask()
    except Unsatisfiable:
        pass  # nothing can be wrong where there is nothing to say
    return asked


def test_every_operation_says_what_it_is_about(server):
    with server.program() as client:
        description = client.get("/api/openapi.json").json()
        page = client.get("/api").text
    for path, item in description["paths"].items():
        assert path in page
        for method, operation in item.items():
            assert operation.get("description") and operation.get("tags"), (method, path)
            for parameter in operation.get("parameters", ()):
                assert parameter.get("description"), (method, path, parameter["name"])
            assert method == "get" or operation["responses"].keys() & {"201", "202", "204", "200"}, (method, path)
