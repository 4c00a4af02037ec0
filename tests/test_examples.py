"""The examples of public classes give the output that their docstrings show."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfp_priors

NAMES = [
    module.name
    for module in pkgutil.walk_packages(tfp_priors.__path__, "tfp_priors.")
    if not module.name.startswith("tfp_priors.commands")
    and ">>> " in Path(module.module_finder.find_spec(module.name).origin).read_text()
]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name):
    module = importlib.import_module(name)
    given = {"np": np, "tf": tf}
    result = doctest.testmod(module, extraglobs=given)
    assert result.attempted and not result.failed


def test_there_are_examples():
    assert len(NAMES) >= 8
