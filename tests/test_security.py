"""What comes from strangers runs no code, and what the sources must not contain."""

import ast
import re

import numpy as np
import pytest
from PIL import Image

from tests import commands
from tests.commands import ROOT
from tfp_priors import config
from tfp_priors import configuration
from tfp_priors.data.pictures import read_image
from tfp_priors.errors import UserError
from tfp_priors.evaluation.activations import Activator
from tfp_priors.evaluation.activations import Extractor
from tfp_priors.evaluation.images import from_array
from tfp_priors.evaluation.images import from_folder
from tfp_priors.evaluation.lpips_weights import load_weights


def _is_python(path):
    if path.suffix == ".py":
        return True
    return not path.suffix and path.read_bytes().startswith(b"#!/usr/bin/env python3")


SOURCES = sorted(
    path
    for folder in ("tfp_priors", "bin", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    # Hidden folders hold other people's packages.
    if path.is_file() and _is_python(path) and "/." not in str(path.relative_to(ROOT))
)

#: Modules whose files may hold code that runs when they are read.
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}

#: Functions that run a text, by how they are called.
RUNNERS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}


def _dotted(node):
    """The name of a function that is called, such as "np.load"."""
    return ast.unparse(node.func)


def _keyword(node, name):
    """The text of a keyword argument, or None."""
    given = [ast.unparse(k.value) for k in node.keywords if k.arg == name]
    return given[0] if given else None


def faults(source):
    """What a text of Python must not contain, with the lines."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name.split(".")[0] in UNPICKLERS:
                yield f"line {node.lineno} imports {name}"
        if not isinstance(node, ast.Call):
            continue
        name = _dotted(node)
        unsafe = (
            name in RUNNERS
            or _keyword(node, "allow_pickle") not in (None, "False")
            or _keyword(node, "shell") not in (None, "False")
            or name.endswith("yaml.load")
            or name == "torch.load"
            and _keyword(node, "weights_only") != "True"
            or name.endswith(("load_model", "enable_unsafe_deserialization"))
        )
        if unsafe:
            yield f"line {node.lineno} calls {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sources_run_no_text_and_unpickle_nothing(path):
    assert not list(faults(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from joblib import load",
        "eval(x)",
        "exec(x)",
        "compile(x, 'x', 'exec')",
        "np.load(x, allow_pickle=True)",
        "yaml.load(x)",
        "subprocess.run(x, shell=True)",
        "os.system(x)",
        "torch.load(x)",
        "keras.models.load_model(x)",
    ],
)
def test_the_walk_finds_what_it_looks_for(source):
    assert len(list(faults(source))) == 1


def test_the_walk_sees_the_commands():
    names = {str(path.relative_to(ROOT)) for path in SOURCES}
    assert {"bin/train", "bin/_environment.py", "tfp_priors/config.py"} <= names
    assert "benchmarks/peers/models.py" in names


# Arrays ------------------------------------------------------------------------


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return open, (str(self._path), "w")


@pytest.fixture
def sprung(tmp_path):
    """The file that a trap makes."""
    return tmp_path / "sprung"


def test_the_trap_works(sprung, tmp_path):
    np.save(tmp_path / "a.npy", np.array([Trap(sprung)], object))
    np.load(tmp_path / "a.npy", allow_pickle=True)[0].close()
    assert sprung.exists()


def test_kept_activations_are_not_unpickled(sprung, tmp_path):
    images = np.zeros([3, 2, 2, 1], np.uint8)

    def function(images):
        return images[:, 0, 0], images[:, 1, 1]

    extractor = Extractor("classifier", "a", function, batch_size=3)
    expected, _ = Activator(extractor).activations(from_array(images), tmp_path)
    (path,) = tmp_path.rglob("*.npz")
    trap = np.array([Trap(sprung)] * 3, object)
    np.savez(path, features=trap, logits=trap)
    received, _ = Activator(extractor).activations(from_array(images), tmp_path)
    np.testing.assert_array_equal(received, expected)
    assert not sprung.exists()


def test_lpips_weights_are_not_unpickled(sprung, tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, net="alex", version="0.1", a=np.array([Trap(sprung)], object))
    with pytest.raises(UserError, match="LPIPS cannot read .*weights.npz"):
        load_weights(path, "alex", "0.1")
    assert not sprung.exists()


def test_files_of_pytorch_are_not_unpickled(sprung, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "trunk.pth"
    torch.save({"features.0.weight": Trap(sprung)}, path)
    flags = {"trunk": path, "linear": path, "out": tmp_path / "out.npz"}
    line = commands.refused("convert_lpips", **flags)
    assert f"expected a state dict of PyTorch, received {path}" in line
    assert not sprung.exists()


# Imports of gin files ------------------------------------------------------------

GIN = ROOT / "gin" / "embedded_digits_beta0.gin"


@pytest.fixture
def module(sprung, tmp_path, monkeypatch):
    """The name of a module that makes a file when it is imported."""
    folder = tmp_path / "modules"
    (folder / "stranger" / "inner").mkdir(parents=True)
    code = f"open({str(sprung)!r}, 'w').close()\n"
    (folder / "stranger" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(commands.ENVIRONMENT, "PYTHONPATH", str(folder))
    yield "stranger"
    configuration.allow_imports(False)


@pytest.mark.parametrize(
    "line",
    [
        "import stranger",
        "import stranger as keras",
        "from stranger import keras",
        "import os",
        # Would make `@keras.os.system()` a configurable.
        "from __gin__ import dynamic_registration",
        "import keras_of_a_stranger",
    ],
)
def test_an_import_of_a_gin_file_is_refused(module, sprung, tmp_path, line):
    path = tmp_path / "a.gin"
    path.write_text(f"{line}\n")
    with pytest.raises(UserError, match=rf"In .*a.gin: the import of .*{line}"):
        config.parse([str(GIN), str(path)])
    including = tmp_path / "b.gin"
    including.write_text("include 'a.gin'\n")
    with pytest.raises(UserError, match="the import of .* is refused, since it runs"):
        config.parse([str(including)])
    with pytest.raises(UserError, match="the import of .* is refused, since it runs"):
        config.parse([str(GIN)], [line])
    with pytest.raises(UserError, match="the import of .* is refused, since it runs"):
        config.dataset_of(str(path))
    assert not sprung.exists()


def test_a_gin_file_may_import_the_project_and_keras(tmp_path):
    path = tmp_path / "a.gin"
    path.write_text("import keras.layers\nimport tfp_priors.latent_space.rows\n")
    text = config.parse([str(GIN), str(path)])
    assert "import tfp_priors.latent_space.rows" in text


@pytest.mark.parametrize("how", ["value", "macro"])
def test_data_sets_whose_code_is_downloaded_are_refused(how):
    params = {
        "value": ["load_dataset.name = 'stranger:digits'"],
        "macro": ["load_dataset.name = %NAME", "NAME = 'stranger:digits'"],
    }[how]
    with pytest.raises(UserError, match="'stranger:digits' is refused, since TFDS"):
        config.parse([str(GIN)], params)
    with pytest.raises(UserError, match="'stranger:digits' is refused, since TFDS"):
        config.dataset_of(str(GIN), params)


def test_an_include_imports_nothing(module, sprung, tmp_path):
    path = tmp_path / "a.gin"
    path.write_text("include 'stranger/inner/b.gin'\n")
    with pytest.raises(UserError, match="Unable to open file: stranger/inner/b.gin"):
        config.parse([str(GIN), str(path)])
    assert not sprung.exists()


def test_commands_refuse_imports_unless_told(module, sprung, tmp_path):
    path = tmp_path / "a.gin"
    path.write_text(f"import {module}\n")
    line = commands.refused("train", gin_file=[GIN, path], run_dir=tmp_path / "run")
    assert "the import of stranger is refused" in line
    assert "pass --allow_gin_imports" in line
    assert not (tmp_path / "run").exists()
    # What a run of a stranger may hold.
    run = tmp_path / "stored"
    run.mkdir()
    text = config.parse([str(GIN)])
    (run / "config.gin").write_text(f"import {module}\n{text}")
    line = commands.refused("export", run_dir=run, out=tmp_path / "out")
    assert "config.gin: the import of stranger is refused" in line
    assert not sprung.exists()
    flags = {"run_dir": run, "out": tmp_path / "out"}
    line = commands.refused("export", "--allow_gin_imports", **flags)
    assert "has no checkpoint yet" in line
    assert sprung.exists()


@pytest.mark.slow
def test_a_run_keeps_its_imports(module, sprung, tmp_path):
    path = tmp_path / "a.gin"
    path.write_text(f"import {module}\n")
    flags = {"run_dir": tmp_path / "run", "data_dir": tmp_path / "data", "steps": 1}
    files = {"gin_file": [GIN, path], "gin_param": commands.TINY}
    commands.run("train", "--allow_gin_imports", **flags, **files)
    sprung.unlink()
    sample = {"run_dir": flags["run_dir"], "n": 1, "out": tmp_path / "grid.png"}
    line = commands.refused("sample", **sample)
    assert "config.gin: the import of stranger is refused" in line
    assert not sprung.exists()
    commands.run("sample", "--allow_gin_imports", **sample)
    assert sprung.exists()


# TensorBoard ---------------------------------------------------------------------


def test_every_tensorboard_command_serves_this_machine_only():
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for folder in ("bin", "docs", "benchmarks", "gin", "tfp_priors"):
        texts += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.suffix in ("", ".py", ".md", ".ipynb", ".gin", ".html", ".sh")
            and path.is_file()
            and "/." not in str(path.relative_to(ROOT))
        ]
    found = 0
    for path in texts:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert "--bind_all" not in line, path
            if re.search(r"tensorboard\b.*--logdir", line):
                assert "tensorboard --host=localhost" in line, path
                found += 1
    assert found >= 5


def test_a_picture_is_not_handed_to_another_program(tmp_path, monkeypatch):
    """Pillow opens what a file holds, and EPS by Ghostscript."""
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", pytest.fail)
    with pytest.raises(UserError, match=f"Cannot read the image {path}"):
        read_image(path, (8, 8), 3)
    with pytest.raises(UserError, match=f"Cannot read the image {path}"):
        list(from_folder(tmp_path, (8, 8, 3)))
