"""How the metrics answer to damage of known strength: blur, noise, dropped classes.

    python benchmarks/metric_sensitivity.py --classifier=runs/mnist_classifier \\
        --out=docs/metrics

Real training images, damaged, take the place of samples and are compared with the test
images. Writes sensitivity.csv and sensitivity.png.
"""

import csv
from pathlib import Path

import numpy as np
import scipy.ndimage
from absl import app
from absl import flags

from tfp_priors import config
from tfp_priors.evaluation.activations import Activator
from tfp_priors.evaluation.activations import predictor_extractor
from tfp_priors.evaluation.feature_metrics import classifier_score
from tfp_priors.evaluation.feature_metrics import frechet_distance
from tfp_priors.evaluation.feature_metrics import kernel_distance
from tfp_priors.evaluation.images import from_array
from tfp_priors.evaluation.images import from_dataset
from tfp_priors.evaluation.precision_recall import precision_recall
from tfp_priors.models import Classifier

_CLASSIFIER = flags.DEFINE_string("classifier", None, "Run of a classifier.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data [TFDS's].")
_OUT = flags.DEFINE_string("out", "docs/metrics", "Folder to write to.")
_N = flags.DEFINE_integer("n", 10_000, "Images.")

LEVELS = {
    "blur: standard deviation, pixels": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    "noise: standard deviation, of 1": (0.0, 0.025, 0.05, 0.1, 0.2, 0.4),
    "dropped classes, of 10": (0, 1, 2, 4, 6, 8, 9),
}
METRICS = ("fcd", "kcd", "precision", "recall", "density", "coverage", "cs")


def damaged(images, labels, kind, level):
    """Float images in [0, 1] after damage; for dropped classes, others in their place.

    Args:
      images: floats `[n, height, width, channels]`.
      labels: `[n]`.
      kind: key of LEVELS.
      level: strength.
    """
    random = np.random.RandomState(0)
    if kind.startswith("blur"):
        return scipy.ndimage.gaussian_filter(images, (0, level, level, 0))
    if kind.startswith("noise"):
        return np.clip(images + level * random.randn(*images.shape), 0, 1)
    kept = np.flatnonzero(labels >= level)
    return images[random.choice(kept, len(images), replace=level > 0)]


def main(_):
    run = config.load_run(_CLASSIFIER.value, _DATA_DIR.value, Classifier)
    activator = Activator(predictor_extractor(run.model, run.identity))
    test = from_dataset(run.load_dataset("test"), _N.value)
    real = activator.activations(test).features
    train = run.load_dataset("train").take(_N.value)
    rows = []
    for kind, levels in LEVELS.items():
        for level in levels:
            images = damaged(train["image"], train["label"], kind, level)
            features, logits = activator.activations(from_array(images))
            values = {
                "fcd": frechet_distance(real, features),
                "kcd": kernel_distance(real, features).value,
                "cs": classifier_score(logits),
                **precision_recall(real, features)._asdict(),
            }
            rows.append({"damage": kind, "level": level} | values)
            print(rows[-1], flush=True)
    out = Path(_OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "sensitivity.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["damage", "level", *METRICS])
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, out / "sensitivity.png")


def draw(rows, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    groups = (("fcd",), ("kcd",), ("precision", "recall", "density", "coverage"))
    figure, axes = plt.subplots(3, 3, figsize=(10, 8), sharex="col", sharey="row")
    for column, kind in enumerate(LEVELS):
        chosen = [row for row in rows if row["damage"] == kind]
        for row, names in enumerate(groups):
            axis = axes[row, column]
            for name in names:
                axis.plot([r["level"] for r in chosen], [r[name] for r in chosen], ".-")
            axis.grid(alpha=0.3)
            if row < 2:
                axis.set_yscale("symlog", linthresh=1.0 if row == 0 else 0.01)
            if column == 0:
                axis.set_ylabel(names[0] if len(names) == 1 else "")
                axis.legend(names, fontsize=8) if len(names) > 1 else None
        axes[-1, column].set_xlabel(kind)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    app.run(main)
