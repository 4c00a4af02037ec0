"""Lines and tables of results, and the tables of docs/performance.md."""

import json
import re
import statistics
from pathlib import Path

from benchmarks import items
from tfp_priors.errors import UserError
from tfp_priors.files import write_text

_ROOT = Path(__file__).resolve().parent.parent
_RESULTS = _ROOT / "benchmarks" / "results"
_PAGE = _ROOT / "docs" / "performance.md"
_BEGIN, _END = "<!-- measured -->", "<!-- /measured -->"

# Adam reads the gradient, the weight and two moments and writes back three.
_BYTES_PER_PARAMETER = 28

# What is shown of a side beside its time, and the unit.
_FACTS = {"peak_mib": "MiB", "nats": "nats"}


def line(name: str, case: dict, known: dict) -> str:
    """A case on one line of text, with its ratio in the cases known from before."""
    parts = [name]
    for variant, values in case["ms"].items():
        text = f"{variant} {_number(statistics.median(values))} ms"
        if variant in case["ratio"]:
            text += f" ({_ratio(case['ratio'][variant])})"
        for fact, unit in _FACTS.items():
            if fact in case["facts"].get(variant, {}):
                text += f" {case['facts'][variant][fact]:,.5g} {unit}"
        parts.append(text)
    parts += [f"{variant} failed: {text}" for variant, text in case["failed"].items()]
    if case["best"]:
        parts.append(f"best peer {case['best']}: {_ratio(case['ratio'][case['best']])}")
        if case["best"] in known.get(name, {}).get("ratio", {}):
            before = known[name]["ratio"][case["best"]][0]
            parts.append(f"on the page: {before:.2f}")
    return "  |  ".join(parts)


def _number(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _ratio(values):
    middle, low, high = values
    return f"{middle:.2f}, {low:.2f} to {high:.2f}"


# The roofline ---------------------------------------------------------------


def _ceilings(cases):
    """GFLOP/s by precision and GB/s, of the best round, or None."""
    rates = {}
    for name, case in cases.items():
        if name.startswith("roofline.") and "ours" in case["ms"]:
            _, operation, *kind = name.split(".")
            kind = kind[0] if kind else operation
            # "work" is in units of 1e9, so that work per ms is in 1e12 per second.
            rate = 1e3 * case["facts"]["ours"]["work"] / min(case["ms"]["ours"])
            rates[kind] = max(rate, rates.get(kind, 0.0))
    return rates if {"float32", "copy"} <= set(rates) else None


def _roofline(cases):
    """Rows `(name, measured ms, floor ms, share)` of steps and priors."""
    rates = _ceilings(cases)
    for name, case in cases.items():
        facts = case["facts"].get("ours", {})
        of_items = name.startswith(("train_step.", "priors."))
        if not rates or not of_items or "gflop" not in facts:
            continue
        ceiling = rates.get(name.rsplit(".", 1)[-1], rates["float32"])
        # Only steps update parameters.
        moved = _BYTES_PER_PARAMETER * facts.get("parameters", 0) / 1e9
        floor = 1e3 * (facts["gflop"] / ceiling + moved / rates["copy"])
        measured = statistics.median(case["ms"]["ours"])
        yield name, measured, floor, floor / measured


def roofline_lines(cases: dict) -> list[str]:
    """The floor under steps and priors, as text; empty without ceilings."""
    return [
        f"{name}  floor {_number(floor)} ms, measured {_number(measured)} ms: "
        f"{share:.0%} reached"
        for name, measured, floor, share in _roofline(cases)
    ]


# Markdown -------------------------------------------------------------------


def recorded(results=_RESULTS) -> dict[str, dict]:
    """The cases of all JSON files in a folder, by name."""
    files = sorted(Path(results).glob("*.json"))
    return _cases([json.loads(path.read_text(encoding="utf-8")) for path in files], "")


def render(results=_RESULTS, page=_PAGE) -> int:
    """Writes the tables of all JSON files in a folder into a page.

    Returns:
      The number of files.

    Raises:
      UserError: if there are no results, or the page lacks the two marker comments.
    """
    files = sorted(Path(results).glob("*.json"))
    if not files:
        raise UserError(f"there are no results in {results}: run bin/bench --out=FILE.")
    text = Path(page).read_text(encoding="utf-8")
    pattern = re.compile(f"{_BEGIN}.*{_END}", re.DOTALL)
    if not pattern.search(text):
        raise UserError(f"{page} lacks {_BEGIN} and {_END}.")
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    lines = [_BEGIN, ""]
    for path, run in zip(files, runs, strict=True):
        lines += [*_header(path.name, run), ""]
    for item in items.ITEMS:
        lines += _table(item, _cases(runs, item.name))
    lines += ["### roofline", "", "The floors of a run, by its own ceilings.", ""]
    # Machines differ, and so do the same one's hours: each run has its own ceilings.
    lines += [line for run in runs for line in _roofline_table(run["cases"])]
    body = "\n".join([*lines, _END])
    write_text(Path(page), pattern.sub(lambda _: body, text))
    return len(files)


def _cases(runs, item):
    """The cases of an item; those of later files replace those of earlier ones."""
    cases = {}
    for run in runs:
        cases |= run["cases"]
    return {name: c for name, c in cases.items() if name.startswith(item)}


def _header(name, run):
    machine, settings = run["machine"], run["settings"]
    versions = ", ".join(f"{k} {v}" for k, v in sorted(run["versions"].items()))
    # In the order of the items, without repetition.
    measured = ", ".join(dict.fromkeys(case.split(".")[0] for case in run["cases"]))
    yield (
        f"[{name}](../benchmarks/results/{name}): {measured}; {run['date']}, commit "
        f"{(run['commit'] or 'unknown')[:7]}, {machine['cores']} cores of "
        f"{machine['cpu']}, {machine['memory_gib']} GiB, Python {machine['python']}; "
        f"{settings['rounds']} rounds of {settings['seconds']:g} s; "
        f"{_before(settings)}." + (f" {versions}." if versions else "")
    )


def _before(settings):
    """What else the machine did before; older results have a mean load."""
    if "busy_before" in settings:
        return f"{settings['busy_before']:.0%} busy before"
    return f"load before: {settings['load_before']:.1f}"


def _table(item, cases):
    if not cases or item.name == "roofline":
        return []
    ours = [case["facts"].get("ours", {}) for case in cases.values()]
    shown = [fact for fact in _FACTS if any(fact in facts for facts in ours)]
    rate = any("images" in case for case in cases.values())
    heads = ["", "ours, ms", "best peer, ms", "best peer / ours", "other peers / ours"]
    heads += ["images/s"] * rate
    heads += [f"{_FACTS[fact]}, ours and best peer" for fact in shown]
    rows = [_row(item, name, case, rate, shown) for name, case in cases.items()]
    return [f"### {item.name}", "", item.about, "", *_markdown(heads, rows), ""]


def _row(item, name, case, rate, shown):
    best, times = case["best"], case["ms"]
    middle = {variant: statistics.median(values) for variant, values in times.items()}
    others = [
        f"{peer} {ratio[0]:.2f}"
        for peer, ratio in case["ratio"].items()
        if peer != best
    ] + [f"{peer} failed" for peer in case["failed"]]
    row = [
        name.removeprefix(item.name + "."),
        _number(middle["ours"]) if "ours" in middle else "",
        f"{_number(middle[best])} ({best})" if best else "",
        _bold(case["ratio"][best]) if best else "",
        ", ".join(others),
    ]
    if rate:
        known = "images" in case and "ours" in middle
        row.append(_number(1e3 * case["images"] / middle["ours"]) if known else "")
    for fact in shown:
        both = [case["facts"].get(v, {}).get(fact) for v in ("ours", best)]
        row.append(", ".join(f"{value:,.5g}" for value in both if value))
    return row


def _bold(values):
    middle, low, high = values
    return f"**{middle:.2f}** ({low:.2f} to {high:.2f})"


def _roofline_table(cases):
    rows = [
        [name, _number(measured), _number(floor), f"{share:.0%}"]
        for name, measured, floor, share in _roofline(cases)
    ]
    if not rows:
        return []
    rates = _ceilings(cases)
    text = ", ".join(
        f"{_number(rate)} {'GB/s' if kind == 'copy' else 'GFLOP/s'} ({kind})"
        for kind, rate in rates.items()
    )
    heads = ["", "measured, ms", "floor, ms", "share reached"]
    return [f"Ceilings: {text}.", "", *_markdown(heads, rows), ""]


def _markdown(heads, rows):
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
