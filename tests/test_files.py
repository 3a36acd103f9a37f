import os
import signal
import subprocess
import sys

import pytest

from crowdmood.files import sha256_of, write_aside


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "folder" / "table.parquet"
    with write_aside(path) as aside:
        aside.write_text("first")
        assert not path.exists()
    with write_aside(path) as aside:
        aside.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"
    assert [file.name for file in path.parent.iterdir()] == ["table.parquet"]


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_text("old")
    with pytest.raises(ValueError, match="half way"), write_aside(path) as aside:
        aside.write_text("half of the new")
        raise ValueError("half way")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_by_the_next_and_by_no_other(tmp_path):
    path = tmp_path / "talk [1].parquet"
    script = ("import os, signal, sys\nfrom crowdmood.files import write_aside\n"
              "with write_aside(sys.argv[1]) as aside:\n    aside.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)")
    assert subprocess.run([sys.executable, "-c", script, path], check=False).returncode == -signal.SIGKILL
    left, = tmp_path.iterdir()
    assert left.read_text() == "half"
    with write_aside(path) as one:
        assert not left.exists()
        with write_aside(path) as other:
            other.write_text("other")
        one.write_text("one")
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "one"


def test_a_folder_of_a_killed_process_is_removed_by_the_next_and_by_no_other(tmp_path):
    script = ("import os, signal\nfrom crowdmood.files import passing_folder\n"
              "with passing_folder() as folder:\n    (folder / 'a').touch()\n    os.kill(os.getpid(), signal.SIGKILL)")
    look = "from crowdmood.files import passing_folder as p\nwith p() as one, p() as other: print(one.is_dir(), other.is_dir())"
    here = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], check=False, env=here)
    assert len(list(tmp_path.glob("*/a"))) == 1
    assert subprocess.check_output([sys.executable, "-c", look], env=here) == b"True True\n"
    assert not list(tmp_path.iterdir())


def test_sha256_of_known_content(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
