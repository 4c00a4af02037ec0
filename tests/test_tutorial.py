"""The tutorial, as a reader runs it."""

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import tensorflow as tf
from nbclient import NotebookClient

from tests.commands import ENVIRONMENT
from tests.commands import ROOT

DOCS = ROOT / "docs"
TINY = """
IMAGES = None
WORK = {work!r}
FACES = 300
IMAGE_SIZE = 8
CHANNELS = 3
LATENT_SIZE = 4
WIDTH = 2
STEPS = 20
"""


@pytest.fixture
def notebook():
    return nbformat.read(DOCS / "tutorial.ipynb", as_version=nbformat.NO_CONVERT)


def parameters_of(notebook):
    """The one cell whose settings a reader may change."""
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    return cell


def assigned(source):
    """The names that a cell gives values to."""
    targets = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Assign))
    return [target.id for node in targets for target in node.targets]


@pytest.mark.slow
def test_runs_to_a_sampler(notebook, tmp_path, monkeypatch):
    parameters = parameters_of(notebook)
    tiny = TINY.format(work=str(tmp_path / "work"))
    assert assigned(parameters.source) == assigned(tiny)
    parameters.source = tiny
    (tmp_path / "work").mkdir()
    # Jupyter's own files go there too, and no user's kernel takes the place of ours.
    home = {
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTER_DATA_DIR": str(tmp_path / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    for name, value in home.items():
        monkeypatch.setenv(name, value)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(tmp_path), env=ENVIRONMENT | home)

    (folder,) = (tmp_path / "work").glob("sampler_*")
    # Of the prior that is best on held-out images, after 20 steps of the autoencoder.
    assert int(folder.name.removeprefix("sampler_")) >= 20
    sampler = tf.saved_model.load(str(folder))
    images = sampler.sample(3, 0, 1.0)
    assert images.shape == (3, 8, 8, 3)
    assert np.isfinite(images).all()
    outputs = [o for c in notebook.cells for o in c.get("outputs", ())]
    pictures = [o for o in outputs if "image/png" in o.get("data", ())]
    # Reconstructions, samples, the two lines, and the sampler's draws.
    assert len(pictures) == 4
    text = "".join(o.text for o in outputs if o.output_type == "stream")
    assert re.search(r"two-sample accuracy [01]\.\d+ \+- 0\.\d+", text)
    assert "step 20/20" in text


def test_is_stored_without_outputs_and_names_what_exists(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert parameters_of(notebook).cell_type == "code"
    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or (
            cell.outputs == [] and cell.execution_count is None
        )
    text = "\n".join(cell.source for cell in notebook.cells)
    commands = re.findall(r'bin/(\w+)|command\(\s*"(\w+)"', text)
    names = {f"bin/{a or b}" for a, b in commands}
    names |= set(re.findall(r"gin/\w+\.gin", text))
    assert {"bin/prepare_data", "bin/train", "gin/image_folder_beta0.gin"} <= names
    assert not [name for name in names if not (ROOT / name).is_file()]
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert links and not [link for link in links if not Path(DOCS, link).is_file()]
