"""Held-out likelihood of priors on one set of codes, ours and the peers'.

A tenth of the codes is held out by each side, to choose its weights by; test codes are
seen once, at the end. Each side has a process of its own.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

from benchmarks import environments
from tfp_priors.errors import UserError

#: Module and environment of each side.
SIDES = {
    **{
        f"ours.{name}": ("benchmarks.ours.held_out", "ours")
        for name in ("flow", "flow_matching", "maf", "mixture10", "mixture40")
    },
    **{
        name: ("benchmarks.peers.held_out", "torch")
        for name in ("zuko.maf", "zuko.nsf", "normflows.realnvp")
    },
    **{
        name: ("benchmarks.peers.pythae_held_out", "pythae")
        for name in ("pythae.maf", "pythae.mixture10")
    },
}

_ROOT = Path(__file__).resolve().parent.parent


def run(codes: str, test: str, out: str, only: list[str]) -> None:
    """Fits all sides, one after the other, and writes their numbers as CSV.

    Args:
      codes: .npy file of the codes to be learned, `[n, d]`.
      test: .npy file of test codes.
      out: CSV file; lines of sides that are not fitted now are kept.
      only: beginnings of the names of sides; all if there are none.

    Raises:
      UserError: if a side fails, or there is none of such a name.
    """
    rows = {}
    if Path(out).is_file():
        with open(out, encoding="utf-8", newline="") as file:
            rows = {row["prior"]: row for row in csv.DictReader(file)}
    chosen = [s for s in SIDES if not only or s.startswith(tuple(only))]
    if not chosen:
        raise UserError(f"there is none of {', '.join(only)}: {', '.join(SIDES)}.")
    for side in chosen:
        rows[side] = {"prior": side, **_fit(side, codes, test)}
        print(" ".join(f"{key} {value}" for key, value in rows[side].items()))
        with open(out, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ("prior", "nll", "standard_error", "seconds"))
            writer.writeheader()
            writer.writerows(rows[name] for name in SIDES if name in rows)


def _fit(side, codes, test):
    module, environment = SIDES[side]
    python = environments.python(environment)
    command = [str(python), "-m", module, side, codes, test]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        raise UserError(f"{side} failed: see the message above.")
    return json.loads(done.stdout.splitlines()[-1])
