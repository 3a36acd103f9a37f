import json
import os
import subprocess
import sys

import pytest


def crowdmood(*arguments, cwd=None, **environment):
    return subprocess.run([sys.executable, "-m", "crowdmood", *map(str, arguments)], capture_output=True, text=True,
                          cwd=cwd, env={**os.environ, **environment}, timeout=120)


def test_help_loads_nothing_heavy():
    code = ("import sys; sys.argv = ['crowdmood', '--help']\nfrom crowdmood.cli import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            "heavy = {'torch', 'ultralytics', 'openvino', 'numpy', 'duckdb', 'pyarrow', 'av', 'cv2', 'rich'}\n"
            "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "analyze" in done.stdout


COMMANDS = ["analyze", "report", "moments", "sql", "runs", "runs rm", "runs prune", "runs erase-person", "demo", "models", "train", "evaluate", "doctor",
            "train expression", "train detector", "evaluate expression", "evaluate detector", "evaluate end-to-end"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = crowdmood(*command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert "crowdmood" in done.stdout


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("train", "evaluate")])
def test_help_has_an_example(command):
    assert f"crowdmood {command}" in crowdmood(*command.split(), "--help").stdout.split("Options:")[0].split("\n", 1)[1]


@pytest.mark.parametrize(("arguments", "says"), [
    (["analyze", "missing.mp4"], "missing.mp4"),
    (["analyze", "empty"], "empty"),
    (["analyze", "film.mp4"], "film.mp4"),
    (["analyze", "film.mp4", "--device", "cuda:77"], "device cuda:77 is not there"),
    (["analyze", "film.mp4", "--tiles", "x"], "tiles must be"),
    (["analyze", "film.mp4", "--runtime", "magic"], "unknown runtime 'magic'"),
    (["analyze", "film.mp4", "--decoder", "magic"], "unknown decoder 'magic'"),
    (["analyze", "film.mp4", "--detector", "empty"], "no model in empty"),
    (["report", "nothing"], "no results folder"),
])
def test_bad_input_is_one_sentence_and_exit_1(tmp_path, arguments, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "film.mp4").write_text("<html>not a film</html>")
    done = crowdmood(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("crowdmood: ") and done.stderr.count("\n") == 1, done.stderr
    assert says in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [["analyse"], ["analyze"], ["analyze", "a.mp4", "--sampel-fps", "5"],
                                       ["analyze", "a.mp4", "--start", "later"], ["analyze", "a.mp4", "--roi", "1,2"]])
def test_wrong_usage_is_exit_2(tmp_path, arguments):
    done = crowdmood(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_a_batch_goes_on_after_a_failure_and_ends_with_3(tmp_path, clip):
    (tmp_path / "broken.mp4").write_bytes(b"")
    done = crowdmood("analyze", tmp_path / "broken.mp4", clip, "--results", tmp_path / "r", "--end", "1", "--json")
    assert done.returncode == 3, done.stderr
    broken, good = map(json.loads, done.stdout.splitlines())
    assert "broken.mp4" in broken["error"] and good["persons"] >= 1
    assert os.path.isfile(good["report"])


def test_version_and_doctor():
    assert crowdmood("--version").stdout.startswith("crowdmood, version")
    done = crowdmood("doctor")
    assert done.returncode == 0, done.stderr
    assert "weights are as the card says" in done.stdout


def test_models_are_listed_with_their_limits():
    done = crowdmood("models")
    assert done.returncode == 0 and "face detector" in done.stdout and "limits:" in done.stdout
    assert {card["kind"] for card in json.loads(crowdmood("models", "--json").stdout)} == {
        "face detector", "expression net"}
