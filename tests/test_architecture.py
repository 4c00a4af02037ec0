"""Imports point one way, and commands stay thin."""

import ast
import re
from pathlib import Path

import pytest

import tfp_priors

ROOT = Path(tfp_priors.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

#: Each room may import the rooms named here, and itself.
ALLOWED = {
    "errors": (),
    "experiments": (),
    "files": ("errors",),
    "remote": ("errors", "files"),
    "core": ("errors",),
    "data": ("errors", "files", "remote", "core"),
    "networks": ("errors", "core"),
    "posteriors": ("errors", "core", "networks"),
    "likelihoods": ("errors", "core", "networks"),
    "divergences": ("errors", "core", "networks"),
    "regularizers": ("errors", "core"),
    "latent_space": ("errors", "core"),
    "learning": ("errors", "files", "core", "posteriors", "divergences"),
    "priors": (
        "errors",
        "files",
        "core",
        "networks",
        "latent_space",
        "learning",
    ),
    "models": (
        "errors",
        "core",
        "learning",
        "posteriors",
        "likelihoods",
        "priors",
        "divergences",
        "regularizers",
    ),
    "runs": ("errors", "files", "remote"),
    "training": (
        "errors",
        "files",
        "core",
        "data",
        "priors",
        "divergences",
        "learning",
        "models",
        "figures",
        "runs",
    ),
    "figures": ("errors", "files", "latent_space"),
    "evaluation": (
        "errors",
        "files",
        "core",
        "data",
        "posteriors",
        "latent_space",
        "runs",
    ),
    "sweeps": ("errors", "files", "remote", "runs", "evaluation"),
    "report": (
        "errors",
        "files",
        "remote",
        "latent_space",
        "figures",
        "evaluation",
        "runs",
        "sweeps",
    ),
    "explorer": (
        "errors",
        "data",
        "latent_space",
        "figures",
        "evaluation",
        "models",
        "report",
    ),
    "export": ("errors", "files", "core", "priors", "models"),
    "configuration": (
        "core",
        "errors",
        "experiments",
        "data",
        "networks",
        "posteriors",
        "likelihoods",
        "priors",
        "divergences",
        "regularizers",
        "models",
        "training",
    ),
}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "tfp_priors":
            yield from (f"tfp_priors.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_arrow_points_backwards(path):
    home = path.relative_to(ROOT).with_suffix("").parts[0]
    if home in ("__init__", "config", "commands"):
        return
    for name in imports(path):
        if name.startswith("tfp_priors.") and name != "tfp_priors.__version__":
            target = room(name)
            assert target == home or target in ALLOWED[home], f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_gin_is_configs_alone_and_models_are_keras_3(path):
    for name in imports(path):
        assert not name.startswith("tf_keras"), path
        if path.parent.name != "configuration" and path != ROOT / "config.py":
            assert name.split(".")[0] != "gin", path


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_opens_with_a_sentence(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring and docstring.splitlines()[0].endswith(".")


def test_the_page_of_the_house_names_all_rooms_below_what_they_import():
    page = (ROOT.parent / "docs" / "house.md").read_text().split("\nRooms import")[0]
    listed = [
        name
        for line in re.findall(r"^      (\S.*?)  ", page, re.MULTILINE)
        for name in re.findall(r"\w+", line)
    ]
    assert sorted(listed) == sorted([*ALLOWED, "config", "commands"])
    for home, targets in ALLOWED.items():
        assert all(listed.index(t) < listed.index(home) for t in targets), home
