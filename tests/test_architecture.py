"""Imports point one way, and commands stay thin."""

import ast
from pathlib import Path

import pytest

import tfp_priors

ROOT = Path(tfp_priors.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

#: Each room may import the rooms named here, and itself.
ALLOWED = {
    "errors": (),
    "checks": ("errors",),
    "configured": (),
    "commit": (),
    "files": ("errors",),
    "rows": ("errors",),
    "joints": (),
    "data": ("errors", "files", "joints"),
    "gradients": (),
    "replicas": ("errors",),
    "networks": ("errors", "configured", "joints"),
    "posteriors": ("errors", "checks", "configured", "networks"),
    "likelihoods": ("errors", "configured", "networks"),
    "priors": (
        "errors",
        "checks",
        "configured",
        "gradients",
        "networks",
        "replicas",
    ),
    "divergences": (
        "errors",
        "configured",
        "gradients",
        "networks",
        "posteriors",
        "priors",
        "replicas",
    ),
    "regularizers": ("errors", "configured", "gradients", "replicas"),
    "models": (
        "errors",
        "configured",
        "joints",
        "gradients",
        "replicas",
        "posteriors",
        "likelihoods",
        "priors",
        "divergences",
        "regularizers",
    ),
    "evaluation": (
        "errors",
        "commit",
        "files",
        "data",
        "rows",
        "posteriors",
        "latent_space",
        "run_dir",
    ),
    "latent_space": ("errors", "rows"),
    "figures": ("errors", "files", "latent_space"),
    "gallery": ("errors", "latent_space", "evaluation", "figures", "sweep"),
    "run_dir": ("errors", "commit", "files"),
    "signals": (),
    "sweep": ("errors", "files", "run_dir", "signals", "evaluation"),
    "report": ("errors", "files", "run_dir", "sweep", "evaluation", "figures"),
    "training": (
        "errors",
        "configured",
        "replicas",
        "commit",
        "files",
        "data",
        "priors",
        "divergences",
        "models",
        "figures",
        "run_dir",
        "signals",
    ),
    "export": ("errors", "files", "models"),
    "configurables": (
        "errors",
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
    if home in ("__init__", "config"):
        return
    for name in imports(path):
        if name.startswith("tfp_priors.") and name != "tfp_priors.__version__":
            target = room(name)
            assert target == home or target in ALLOWED[home], f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_gin_is_configs_alone_and_models_are_keras_3(path):
    for name in imports(path):
        assert not name.startswith("tf_keras"), path
        if path.parent != ROOT or path.stem not in ("config", "configurables"):
            assert name.split(".")[0] != "gin", path


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_opens_with_a_sentence(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring and docstring.splitlines()[0].endswith(".")
