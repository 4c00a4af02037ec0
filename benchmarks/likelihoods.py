"""What a side of `held_out` prints: needs NumPy alone, as all environments have it."""

import json
import sys
import time

import numpy as np


def report(fit):
    """Fits a side to the codes of the command line, and prints its score.

    Args:
      fit: maps a name, codes and a seed to a function of codes: log p(z), `[n]`.
    """
    name, codes, test = sys.argv[1:]
    codes, test = (np.load(path).astype(np.float32) for path in (codes, test))
    start = time.perf_counter()
    log_prob = fit(name, codes, 0)
    seconds = time.perf_counter() - start
    nll = -np.concatenate(
        [log_prob(part) for part in np.array_split(test, min(20, len(test)))]
    )
    print(
        json.dumps(
            {
                "nll": f"{nll.mean():.3f}",
                "standard_error": f"{nll.std() / len(nll) ** 0.5:.3f}",
                "seconds": f"{seconds:.0f}",
            }
        )
    )


def split(codes, seed):
    """Nine tenths of the codes, and one tenth."""
    order = np.random.RandomState(seed).permutation(len(codes))
    held = len(codes) // 10
    return codes[order[held:]], codes[order[:held]]
