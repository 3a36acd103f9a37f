"""Docs and code say the same."""

import re
from pathlib import Path

import click
import pytest

from crowdmood.cli import COMMANDS, crowdmood

ROOT = Path(__file__).resolve().parents[1]
README, GUIDE, MODELS = ((ROOT / name).read_text() for name in ("README.md", "docs/guide.md", "docs/models.md"))


def command(name: str) -> click.Command:
    return crowdmood.get_command(click.Context(crowdmood), name)


@pytest.mark.parametrize("option", [option for parameter in command("analyze").params
                                    for option in parameter.opts if option.startswith("--")])
def test_the_guide_has_every_option_of_analyze(option):
    assert option in GUIDE


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name):
    assert f"crowdmood {name}" in README + GUIDE + MODELS


def test_commands_in_the_docs_exist():
    for name in re.findall(r"^\$? ?crowdmood ([a-z]+)", README + GUIDE + MODELS, re.MULTILINE):
        assert name in COMMANDS, name


def test_pages_that_are_linked_are_there():
    for page, text in (("README.md", README), ("docs/guide.md", GUIDE), ("docs/models.md", MODELS)):
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_the_python_of_the_readme_runs(clip, tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "concert.mp4").symlink_to(clip)
    exec(re.search(r"```python\n(.*?)```", README, re.DOTALL)[1], {})


@pytest.mark.parametrize("query", re.findall(r"(SELECT.*?;)", "".join(re.findall(r"```sql\n(.*?)```", GUIDE, re.DOTALL)), re.DOTALL))
def test_the_queries_of_the_guide_run(query, clip, tmp_path):
    import crowdmood

    assert crowdmood.analyze(clip, results=tmp_path, end_s=1.0).sql(query.rstrip(";")).num_rows >= 0


def test_figures_of_the_readme_come_from_the_cards():
    from crowdmood.models import list_models

    for model in list_models():
        for value in re.findall(rf"{model.name}[^\n]*?\*\*([0-9.]+) ?%?\*\*", README):
            known = {f"{number:.{len(value.split('.')[-1]) if '.' in value else 0}f}"
                     for metric in _numbers(model.card["metrics"]) for number in (metric, 100 * metric)}
            assert value in known, f"{model.name}: {value} is not a figure of its card"


def _numbers(table: dict):
    for value in table.values():
        if isinstance(value, dict):
            yield from _numbers(value)
        elif isinstance(value, (int, float)):
            yield value
