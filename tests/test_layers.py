"""Imports point the way the data flows, and never back; and modules stay small enough to be read."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "crowdmood"
# Each module may import from its own line (if it is a package) and from lines above it.
LAYERS = (
    "errors", "labels", "clock", "palette", "files", "web_files", "locks", "staging", "s3", "shipped",
    "allocator", "options", "law", "settings", "workers", "executors", "ray_cluster", "demo", "zoom", "downloads",
    "sources", "conditions", "condition_sql", "video", "albums", "still", "models", "signature", "sharpness", "blur",
    "stills", "expression_net", "yolo_net", "onnx_files", "yolo_onnx", "own_detector", "runtimes", "faces",
    "expressions", "layout", "camera", "motion", "assignment", "cuts", "tracks", "joins", "persons", "fields", "meeting_schemas",
    "photo_schemas", "schemas", "row_groups", "parts", "tables", "meeting", "speech", "query_limits", "uploads", "scan", "nodes",
    "views", "snapshot", "catalog", "segments", "sql_reports", "kept", "aggregate", "linking", "later", "results",
    "rows", "exports", "analysis", "api", "answers", "meeting_answers",
    "curves", "heat", "drawing", "canvas", "plots", "crowd_plots", "charts", "pages", "meeting_page", "answer_pages",
    "model_cards", "thumbnails", "comparison", "film", "photos",
    "clips", "moments", "moment_files", "report", "batch", "removal", "erasure", "forgetting",
    "scheduling", "training", "live", "web", "cli",
)
FORBIDDEN = {"utils", "base", "manager", "handler", "helpers", "common"}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE or path.stem not in ("__init__", "__main__")]


def layer(module: str) -> int:
    return LAYERS.index(module.split(".")[1])


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in inside if (PACKAGE.parent / name.replace(".", "/")).with_suffix(".py").is_file()}
            names |= modules if modules else {node.module or ""}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.startswith("crowdmood.")}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_never_point_back(path):
    own = name_of(path)
    for other in imported(path):
        assert layer(other) < layer(own) or other.split(".")[1] == own.split(".")[1], f"{own} imports {other}"


def test_packages_have_no_cycles_inside():
    graph = {name_of(path): imported(path) for path in FILES}
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"cycle: {' -> '.join((*above, module))}"
        if module not in done:
            for other in graph.get(module, ()):
                visit(other, (*above, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_modules_are_small_and_have_telling_names(path):
    assert len(path.read_text().splitlines()) <= 300
    assert not FORBIDDEN & set(path.stem.split("_"))


def test_functions_fit_on_a_screen():
    long = [f"{name_of(path)}.{node.name}: {node.end_lineno - node.body[0].lineno + 1} lines"
            for path in FILES for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.body[0].lineno + 1 > 45]
    assert not long
