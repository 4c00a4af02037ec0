"""Packaging of tfp_priors."""

import re
from pathlib import Path

from setuptools import find_packages
from setuptools import setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "(.+)"', (ROOT / "tfp_priors" / "__init__.py").read_text()
).group(1)

setup(
    name="tfp-priors",
    version=VERSION,
    description="Autoencoders with learned priors: Keras 3, TFP, one objective",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=[
        *find_packages(include=["tfp_priors", "tfp_priors.*"]),
        # The experiments, which have a folder of their own here.
        "tfp_priors.gin",
    ],
    package_dir={"tfp_priors.gin": "gin"},
    package_data={"tfp_priors.gin": ["*.gin", "*/*.gin"]},
    entry_points={
        "console_scripts": ["tfp-priors = tfp_priors.commands.__main__:main"]
    },
    python_requires=">=3.11,<3.14",
    install_requires=[
        "absl-py",
        "gin-config>=0.5",
        "google-crc32c",
        "h5py",
        # TFDS imports it without declaring it.
        "importlib_resources",
        "keras>=3.15,<4",
        "matplotlib",
        "mlxtend",
        "numpy",
        "pillow",
        "scikit-learn",
        "scipy>=1.10",
        "tensorboard",
        "tensorflow>=2.21,<2.22",
        "tensorflow-datasets>=4.9.10",
        "tensorflow-gan>=2.1",
        "tensorflow-hub",
        "tensorflow-probability>=0.25",
        # TFP imports it; no model here is built with it.
        "tf-keras",
        "threadpoolctl",
        "tqdm",
    ],
    extras_require={
        # The page of bin/explore.
        "explore": ["dash>=4.4"],
        "gpu": ["tensorflow[and-cuda]"],
        # What writes bin/export --format=onnx.
        "onnx": ["tf2onnx>=1.17"],
        # Engines of bin/sweep --launcher, and what searches with --search.
        "ray": ["ray>=2.50"],
        "search": ["optuna>=5"],
        "slurm": ["submitit>=1.5"],
        # Folders on object stores; fsspec's package of a store is all that it takes.
        "gcs": ["gcsfs"],
        "s3": ["s3fs"],
        "test": [
            # A runtime of bin/export --format=tflite.
            "ai-edge-litert",
            "dash>=4.4",
            # With sphinx and myst-nb for bin/docs, whose site is tested.
            "furo",
            "hypothesis",
            "ipykernel",
            # An object store.
            "moto[s3,server]",
            "myst-nb",
            "nbclient",
            "nbformat",
            "onnxruntime",
            "optuna>=5",
            # Columns of labels.
            "pandas",
            # Drives the browser that tests of pages find on the PATH.
            "playwright",
            "prdc",
            "pytest",
            "pytest-xdist",
            "ray>=2.50",
            "ruff",
            "s3fs",
            "sphinx",
            "submitit>=1.5",
            "tf2onnx>=1.17",
        ],
    },
)
