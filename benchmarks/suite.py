"""Runs benchmarks: all sides of a case take turns, round by round."""

import contextlib
import datetime
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import environments
from benchmarks import items
from benchmarks import report
from benchmarks import sides
from tfp_priors.errors import UserError
from tfp_priors.files import write_text
from tfp_priors.runs.commit import commit

_ONCE_ROUNDS = 3

# Of a quick run.
_QUICK_ROUNDS, _QUICK_SECONDS = 2, 0.5

# Share of the processors that others may take before it is said.
_BUSY = 0.1


def select(prefixes) -> dict[str, tuple]:
    """The items and cases whose names begin with one of the prefixes.

    Returns:
      `(item, case)` by the full name.

    Raises:
      UserError: if a prefix fits none.
    """
    names = {f"{i.name}.{case}": (i, case) for i in items.ITEMS for case in i.cases}
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            known = ", ".join(item.name for item in items.ITEMS)
            raise UserError(f"no item begins with {prefix!r}; the items are {known}.")
    chosen = tuple(prefixes) or ("",)
    return {name: case for name, case in names.items() if name.startswith(chosen)}


def explain() -> None:
    """Prints the items and their cases."""
    for item in items.ITEMS:
        print(f"{item.name}: {item.about}")
        for case, variants in item.cases.items():
            print(f"    {item.name}.{case}: {', '.join(variants)}")


def run(
    prefixes=(),
    rounds: int = 7,
    seconds: float = 2.0,
    quick: bool = False,
    out=None,
    verbose=False,
) -> dict:
    """Measures, prints a line per case, and writes all times as JSON.

    Args:
      prefixes: of the cases' names; none: all cases.
      rounds: rounds per case.
      seconds: time per side and round.
      quick: 2 rounds of half a second, without the slow cases, of ours and of the peer
        that is the best in the recorded results, whose ratio is shown beside.
      out: JSON file, written anew after each case, or None.
      verbose: show what the sides write to standard error.

    Returns:
      What `out` contains.

    Raises:
      UserError: if a prefix fits nothing or slow cases alone in a quick run, `out`
        cannot be written, or a peer cannot be installed.
    """
    chosen = select(prefixes)
    known = report.recorded() if quick else {}
    if quick:
        chosen = {name: _of_quick(name, *it, known) for name, it in chosen.items()}
        chosen = {name: it for name, it in chosen.items() if it}
        if not chosen:
            raise UserError("a quick run leaves these cases out: run without --quick.")
        rounds, seconds = _QUICK_ROUNDS, _QUICK_SECONDS
    _check_out(out)
    print(f"Cases: {len(chosen)}", flush=True)
    busy = _taken_by_others()
    if busy > _BUSY:
        print(f"The machine is busy ({busy:.0%}): do not trust these times.")
    result = {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "machine": _machine(),
        "settings": {"rounds": rounds, "seconds": seconds, "busy_before": busy},
        "versions": {},
        "cases": {},
    }
    with _Sides(result["versions"], verbose) as team:
        for name, (item, case) in chosen.items():
            result["cases"][name] = _measure(team, item, case, rounds, seconds)
            print(report.line(name, result["cases"][name], known), flush=True)
            if out:  # After each case: an interrupted run keeps the others.
                write_text(Path(out), json.dumps(result, indent=1) + "\n")
    for line in report.roofline_lines(result["cases"]):
        print(line)
    return result


def _of_quick(name, item, case, known):
    """The item, with ours and its best peer alone, and the case; None if it is slow."""
    if case.startswith(item.slow):
        return None
    ours, *peers = item.cases[case]
    best = known.get(name, {}).get("best")
    # One that is not on the page yet is compared with the first.
    peers = [peer for peer in peers if peer == best] or peers[:1]
    return item._replace(cases=item.cases | {case: (ours, *peers)}), case


def _check_out(out):
    """Raises: UserError: if no JSON file can be written there."""
    if out is None:
        return
    path = Path(out)
    if path.suffix != ".json" or not path.parent.is_dir() or path.is_dir():
        raise UserError(
            f"expected --out=FILE.json in a folder that is there, received {out!r}."
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"{out} cannot be written: choose another --out.")


def _taken_by_others(seconds: float = 1.0) -> float:
    """The share of all processors that other processes take, while this one waits."""
    before = _processor_times()
    time.sleep(seconds)
    idle, total = (b - a for a, b in zip(before, _processor_times(), strict=True))
    return 1.0 - idle / total if total else 0.0


def _processor_times():
    """Idle and all time of the processors; zeros where the system does not tell."""
    with contextlib.suppress(OSError):
        line = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0]
        times = [int(number) for number in line.split()[1:9]]
        return times[3] + times[4], sum(times)
    return 0, 0


def _machine():
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line for line in lines if line.startswith("model name"))
        cpu = name.split(":", 1)[1].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": sides.threads(),
        "memory_gib": round(memory / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


class _Sides:
    """The processes of a run; used as a context manager."""

    def __init__(self, versions, verbose):
        self._versions = versions
        self._verbose = verbose
        self._running = {}
        self._scratch = None

    def __enter__(self):
        self._scratch = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *exc_info):
        self.close_except(())
        self._scratch.cleanup()

    def of(self, item, case, variant):
        """The side of a variant, started if need be."""
        key = _key(item, case, variant)
        if key not in self._running or not self._running[key].alive:
            python = environments.python(items.environment(item.modules[variant]))
            self._running[key] = sides.Side(
                python,
                item.modules[variant],
                variant,
                case,
                self._scratch.name,
                self._verbose,
            )
            self._versions |= self._running[key].versions
        return self._running[key]

    def close_except(self, keys):
        """Ends the processes that have nothing more to do."""
        for key in [key for key in self._running if key not in keys]:
            self._running.pop(key).close()


def _key(item, case, variant):
    module = item.modules[variant]
    return (module, case, variant) if item.fresh else (module,)


def _measure(team, item, case, rounds, seconds):
    """The times of one case, in ms, by variant and round."""
    variants, failed = list(item.cases[case]), {}
    times, facts = {}, {}
    team.close_except([_key(item, case, variant) for variant in variants])
    if case in item.once:
        rounds, seconds = min(rounds, _ONCE_ROUNDS), 0.0
    # The first turn warms up; what is timed once has no use for it.
    warmups = 0 if item.name == "startup" else 1
    for turn in range(warmups + rounds):
        for variant in [v for v in variants if v not in failed]:
            try:
                side = team.of(item, case, variant)
                answer = side.time(variant, case, seconds)
            except sides.SideError as error:
                failed[variant] = str(error)
                continue
            if turn >= warmups:
                times.setdefault(variant, []).append(float(f"{answer['ms']:.5g}"))
            facts[variant] = _facts(item, answer)
    times = {v: values for v, values in times.items() if v not in failed}
    result = {
        "ms": times,
        "failed": failed,
        "facts": {v: fact for v, fact in facts.items() if fact and v in times},
        "load": round(os.getloadavg()[0], 1),
    }
    if case in item.images:
        result["images"] = item.images[case]
    return result | ratios(times)


def _facts(item, answer):
    unused = {"ms", "calls", "value"} | (set() if item.fresh else {"peak_mib"})
    return {name: value for name, value in answer.items() if name not in unused}


def ratios(times: dict[str, list[float]]) -> dict:
    """How many times as long each peer takes as ours, round by round.

    Returns:
      "ratio": median, smallest and largest by peer; "best": the peer with the smallest
      median, or None.
    """
    result = {}
    for peer, values in times.items():
        if peer != "ours" and "ours" in times:
            pairs = zip(values, times["ours"], strict=True)
            each = [theirs / mine for theirs, mine in pairs]
            middle = statistics.median(each)
            result[peer] = [round(x, 3) for x in (middle, min(each), max(each))]
    best = min(result, key=lambda peer: result[peer][0]) if result else None
    return {"ratio": result, "best": best}
