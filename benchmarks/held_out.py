"""Held-out likelihood of priors, ours and the peers', on codes and on sets of points.

A tenth of what is learned is held out by each side, to choose its weights by; test
points are seen once, at the end. Each side has a process of its own.
"""

import csv
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import environments
from benchmarks import tables
from tfp_priors.errors import UserError
from tfp_priors.files import write_text

#: Module and environment of each side, by the recipes of its documentation.
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

#: The same flows in all libraries, at equal size and steps, and two as `Prior.fit` and
#: gin/priors have them.
EQUAL = {
    **{
        f"ours.{name}": ("benchmarks.ours.equal", "ours")
        for name in ("realnvp", "maf", "spline", "flow", "flow_matching")
    },
    **{
        f"{library}.{name}": ("benchmarks.peers.equal", "torch")
        for library in ("zuko", "nflows", "normflows")
        for name in ("realnvp", "maf", "spline")
    },
}

_ROOT = Path(__file__).resolve().parent.parent


def run(codes: str, test: str, out: str, only: list[str]) -> None:
    """Fits all sides to codes, one after the other, and writes their numbers as CSV.

    Args:
      codes: .npy file of the codes to be learned, `[n, d]`.
      test: .npy file of test codes.
      out: CSV file; lines of sides that are not fitted now are kept.
      only: beginnings of the names of sides; all if there are none.

    Raises:
      UserError: if a side fails, or there is none of such a name.
    """
    missing = [path for path in (codes, test) if not Path(path).is_file()]
    if missing:
        raise UserError(f"there is no file {missing[0]} of codes, .npy.")
    chosen = _chosen(SIDES, only)
    table = _Table(out, ("prior",))
    for side in chosen:
        table.add(_fit(*SIDES[side], side, codes, test), prior=side)


def run_tables(names: list[str], out: str, only: list[str]) -> None:
    """Fits flows of equal size to sets of points, likewise.

    Args:
      names: of `tables.NAMES`, or "all".
      out: CSV file; what it has of other sets and sides is kept.
      only: beginnings of the names of sides; all if there are none.

    Raises:
      UserError: if a side fails, or there is no set or side of such a name.
    """
    names = tables.NAMES if "all" in names else names
    unknown = sorted(set(names) - set(tables.NAMES))
    if unknown:
        known = ", ".join(("all", *tables.NAMES))
        raise UserError(f"there are no points {', '.join(unknown)}: {known}.")
    chosen = _chosen(EQUAL, only)
    table = _Table(out, ("points", "prior"))
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            files = [str(Path(folder, part)) for part in ("train.npy", "test.npy")]
            for file, points in zip(files, tables.points(name), strict=True):
                np.save(file, points)
            for side in chosen:
                found = _fit(*EQUAL[side], side, *files)
                table.add(found, points=name, prior=side)


class _Table:
    """Rows of a CSV file, which is whole after each one.

    Raises:
      UserError: if the file has other columns, or no folder.
    """

    def __init__(self, out, keys):
        self._out, self._rows = Path(out), {}
        self._columns = [*keys, "nll", "standard_error", "seconds"]
        if not self._out.parent.is_dir():
            raise UserError(f"there is no folder {self._out.parent}: make it first.")
        if self._out.is_file():
            with self._out.open(encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                if reader.fieldnames != self._columns:
                    raise UserError(
                        f"{out} has other columns than {','.join(self._columns)}: "
                        "choose another --out."
                    )
                for row in reader:
                    self._rows[tuple(row[key] for key in keys)] = row

    def add(self, found, **keys):
        row = keys | found
        self._rows[tuple(keys.values())] = row
        print(" ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows.values())
        write_text(self._out, text.getvalue())


def _chosen(sides, only):
    chosen = [s for s in sides if not only or s.startswith(tuple(only))]
    if not chosen:
        raise UserError(f"there is none of {', '.join(only)}: {', '.join(sides)}.")
    return chosen


def _fit(module, environment, side, codes, test):
    python = environments.python(environment)
    command = [str(python), "-m", module, side, codes, test]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        raise UserError(f"{side} failed: see the message above.")
    return json.loads(done.stdout.splitlines()[-1])
