"""The built wheel works from any folder, models and templates included."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Without isolation: the build needs no network.
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
                   check=True, capture_output=True)
    return next(folder.glob("crowdmood-*.whl"))


def test_everything_is_inside(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder, pattern in (("models", "*/*"), ("reports", "**/*.*"), ("jobs", "*.toml"), ("crowdmood/sql", "*.sql")):
        for file in (ROOT / folder).glob(pattern):
            name = str(file.relative_to(ROOT))
            assert (name if name.startswith("crowdmood/") else f"crowdmood/{name}") in inside
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "crowdmood").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert len(ours) > 300 and not ours - inside
    assert not [name for name in inside if name.startswith(("tests", "docs"))]


@pytest.mark.slow
def test_installed_elsewhere_it_analyzes(wheel, clip, tmp_path):
    site, folder = tmp_path / "site", tmp_path / "somewhere else"
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site),
                    str(wheel)], check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    where = subprocess.run([sys.executable, "-c", "import crowdmood; print(crowdmood.__file__)"], cwd=folder,
                           env=environment, capture_output=True, text=True, check=True)
    assert where.stdout.startswith(str(site))
    done = subprocess.run([sys.executable, "-m", "crowdmood", "analyze", str(clip), "--end", "2"], cwd=folder,
                          env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "persons" in done.stdout
    assert list(folder.glob("crowdmood-results/reports/**/index.html"))
