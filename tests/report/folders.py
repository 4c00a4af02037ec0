"""Small folders of runs and sweeps, made by hand."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

CONFIG = """\
# Macros:
# ==========
BETA = 0.5
LATENT_SIZE = 8

AdversarialDivergence.discriminator = @discriminator/MLP()
AdversarialDivergence.r1 = 1.0
discriminator/MLP.hidden_sizes = (512, 512)
MLP.activation = 'leaky_relu'
LatentVariableModel.beta = @LinearAnnealing()
LatentVariableModel.divergence = @AdversarialDivergence()
LatentVariableModel.posterior = @NormalPosterior()
LatentVariableModel.prior = @RealNVPPrior()
LatentVariableModel.regularizers = (@CodeNorm(), @DecoderWeights())
LinearAnnealing.steps = 50000
LinearAnnealing.value = %BETA
RealNVPPrior.latent_size = %LATENT_SIZE
load_dataset.name = 'mnist'
train.model = @tfp_priors.LatentVariableModel
train.optimizers = \\
    {'autoencoder': @autoencoder/Adam,
     'prior': @prior/Adam}
train.steps = 4000
"""

START = {
    "time": "2026-11-24T09:01:03+00:00",
    "command": ["bin/train", "--gin_param=A.b = '<i>'", "--seed=3"],
    "commit": "1a963a8",
    "seed": 3,
    "devices": ["/device:GPU:0", "/device:GPU:1"],
    "python": "3.11.7",
    "tensorflow": "2.21.0",
}


def make_run(folder: Path, config=CONFIG, finished=4000, results=(), starts=(START,)):
    """Writes what bin/train and bin/evaluate leave, less the weights and events."""
    folder.mkdir(parents=True)
    (folder / "config.gin").write_text(config)
    if finished is not None:
        (folder / "finished.json").write_text(json.dumps({"step": finished}))
    for name, records in (("metrics", results), ("environment", starts)):
        if records:
            text = "".join(json.dumps(record) + "\n" for record in records)
            (folder / f"{name}.jsonl").write_text(text)
    return folder


def make_events(folder: Path, scalars, suffix=".v2"):
    """Writes scalars, values by step by name, as bin/train does."""
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder), filename_suffix=suffix)
    with writer.as_default():
        for name, points in scalars.items():
            for step, value in points.items():
                tf.summary.scalar(name, value, step=step)
        tf.summary.text("config.gin", "text", step=0)
        tf.summary.image("samples", np.zeros((1, 4, 4, 1)), step=0)
    writer.close()


def make_picture(path: Path, width=30, height=20):
    """Writes a PNG of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def make_sweep(out: Path, points, metric="fcd10k_test", step=100):
    """Writes a sweep whose runs have one result each.

    Args:
      points: pairs of the values by axis and the result; None: it is not finished.
    """
    for values, value in points:
        name = "_".join(values.values()) or "run"
        results = [{"name": metric, "metric": metric, "value": value, "step": step}]
        folder = make_run(
            out / name,
            finished=None if value is None else step,
            results=[] if value is None else results,
        )
        (folder / "sweep.json").write_text(json.dumps({"values": values}))
    return out
