"""Whatever a gin file or a binding holds: it is read, or refused by its name."""

import inspect
import math
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.commands import ROOT
from tests.commands import TINY
from tests.reliability import fuzz
from tests.reliability.test_fuzz_data import DAMAGE
from tests.reliability.test_fuzz_data import NAMES
from tests.reliability.test_fuzz_data import some
from tfp_priors import config
from tfp_priors import experiments
from tfp_priors.configuration import CONFIGURABLES
from tfp_priors.errors import UserError

FILES = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "gin").rglob("*.gin"))
DATA_SETS = {"base", *experiments.data_sets(ROOT / "gin")}
# Complete by themselves; before the others a whole configuration is read.
LEAVES = [
    file for file in FILES if file.count("/") == 1 and Path(file).stem not in DATA_SETS
]
WHOLE = "mnist_vae.gin"
NAME = "changed.gin"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of gin/."""
    return shutil.copytree(ROOT / "gin", tmp_path_factory.mktemp("gin") / "gin")


def refusal(function, *args):
    """The line with which something is refused, or None."""
    try:
        function(*args)
    except UserError as error:
        # Gin adds lines of its own, which the commands leave out.
        return str(error).splitlines()[0]
    return None


# Files -------------------------------------------------------------------------

PARAMETERS = [
    f"{name}.{parameter}"
    for name, part in CONFIGURABLES.items()
    for parameter in inspect.signature(part).parameters
]
REFERENCES = [
    *(f"@{name}()" for name in CONFIGURABLES),
    *(f"@{name}" for name in CONFIGURABLES),
    *("@a/b/Adam()", "@gin.singleton()", "@x/gin.singleton()", "@x/macro()", "@None"),
    *("%LATENT_SIZE", "%IMAGE_SHAPE", "%UNKNOWN", "%a/b", "%gin.REQUIRED", "%A.b"),
]
LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats()
    | st.text(max_size=6),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=6,
)
VALUES = LITERALS.map(repr) | st.sampled_from(REFERENCES)
PIECES = st.one_of(
    st.sampled_from(
        "@ % ( ) [ ] { } , = : . / ' \" # \\ \n \r \t \0 \f '''".split(" ")
    ),
    st.sampled_from(["include", "import", "from", "as", "@@", "%%", "=="]),
    st.text(max_size=5),
)
LINES = st.one_of(
    st.builds("{} = {}".format, st.sampled_from(PARAMETERS), VALUES),
    st.builds("a/{} = {}".format, st.sampled_from(PARAMETERS), VALUES),
    st.builds("{} = {}".format, NAMES, VALUES),
    st.builds("include {!r}".format, st.sampled_from([NAME, "no.gin", "."]) | NAMES),
    st.builds("include '{}'".format, st.sampled_from(FILES).map(lambda f: f[4:])),
    st.sampled_from(
        [
            *("import os", "import tfp_priors.nothing", "from os import path as p"),
            *("import keras.nothing", "from __gin__ import dynamic_registration"),
            *("train.steps = 1 +", "train:", "train:\n  steps = 1", "x = " + "(" * 300),
            *("x = " + "[" * 9000, "x = '" + "a" * 9000, "x = " + "9" * 5000),
            *(
                "train.steps = %A\nA = %A",
                "A = %B\nB = %A",
                "load_dataset.name = %A\nA = (%A,)",
            ),
            *("LATENT_SIZE = %LATENT_SIZE", "train.steps = 1 if True else 2"),
            *("MLP.activation = @MLP()", "a/MLP.activation = @a/MLP()"),
            *("train.model = @train()", "load_dataset.name = @load_dataset()"),
            *("train.model = None", "load_dataset.name = 'a:b'", "\ufeff", "\\"),
        ]
    ),
)


def _delete(lines, at):
    del lines[at % len(lines)]


def _repeat(lines, at, to):
    lines.insert(to, lines[at % len(lines)])


def _add(lines, at, line):
    lines.insert(at, line)


def _replace_token(lines, at, token, piece):
    tokens = lines[at % len(lines)].split(" ")
    tokens[token % len(tokens)] = piece
    lines[at % len(lines)] = " ".join(tokens)


def _swap(lines, at, to):
    tokens, others = (lines[n % len(lines)].split(" ") for n in (at, to))
    tokens[-1], others[-1] = others[-1], tokens[-1]
    lines[at % len(lines)] = " ".join(tokens)
    lines[to % len(lines)] = " ".join(others)


def _insert(lines, at, place, piece):
    line = lines[at % len(lines)]
    place %= len(line) + 1
    lines[at % len(lines)] = line[:place] + piece + line[place:]


NUMBERS = st.integers(0, 40)
CHANGES = st.one_of(
    some(_delete, at=NUMBERS),
    some(_repeat, at=NUMBERS, to=NUMBERS),
    some(_add, at=NUMBERS, line=LINES),
    some(_add, at=NUMBERS, line=LINES),
    some(_replace_token, at=NUMBERS, token=NUMBERS, piece=PIECES | VALUES),
    some(_swap, at=NUMBERS, to=NUMBERS),
    some(_insert, at=NUMBERS, place=NUMBERS, piece=PIECES),
)


def names_what_is_wrong(line, text):
    """Whether a refusal names the file, what it lacks, or what it binds."""
    if NAME in line:
        return True
    lacking = re.match(r"No value for ([\w./, ]+): set it in a gin file", line)
    if lacking:
        names = map(re.escape, lacking[1].split(", "))
        return not any(re.search(rf"^{name} *=", text, re.M) for name in names)
    key = re.match(r"(?:Expected a finite )?([\w./]+)", line)[1]
    # It is told with its scope, and a value with the macro that it came by.
    bound = key.removesuffix("/gin.macro").rpartition("/")[2]
    names = map(re.escape, (bound, *re.findall(r"%([\w./]+)", line)))
    return any(re.search(rf"(?<![\w.]){name}(?![\w.])", text) for name in names)


@fuzz.few_or_many(30, 500)
def test_gin_files(cases, folder, faults):
    def case(drawn):
        file, changes, damage = drawn
        lines = (ROOT / file).read_text().splitlines()
        for change in changes:
            change(lines)
            lines = lines or [""]
        content = "\n".join(lines).encode(errors="surrogateescape")
        # Beside the original, so that its includes are found.
        changed = folder / Path(file).relative_to("gin").parent / NAME
        changed.write_bytes(damage(content) if damage else content)
        before = [] if file in LEAVES else [folder / WHOLE]
        line = refusal(config.parse, [str(path) for path in (*before, changed)])
        text = changed.read_text(errors="replace")
        assert line is None or names_what_is_wrong(line, text), line

    damage = st.integers(1, 5).flatmap(lambda n: st.none() if n > 1 else DAMAGE)
    inputs = st.tuples(
        st.sampled_from(LEAVES) | st.sampled_from(FILES),
        st.lists(CHANGES, min_size=1, max_size=3),
        damage,
    )
    count = fuzz.run(case, inputs, cases)
    faults.add(
        "gin files with random changes",
        f"hypothesis, seed {fuzz.SEED}: lines, names, values, includes, imports, "
        "damaged bytes",
        "read, else refused with the name of the file or the binding",
        times=count,
    )


# Bindings ----------------------------------------------------------------------

PARTS = {
    "prior": [n for n in CONFIGURABLES if n.endswith("Prior")],
    "posterior": [n for n in CONFIGURABLES if n.endswith("Posterior")],
    "divergence": ["KLDivergence", "MMDDivergence", "AdversarialDivergence"],
    "likelihood": ["BernoulliLikelihood", "NormalLikelihood"],
}


# Numbers are small: a network of 10^9 units is not refused, it is what was asked for.
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 9),
    st.sampled_from([0.0, -1.0, 0.5, 1e-30, 1e30, math.inf, -math.inf]),
    st.sampled_from(["", "x", "relu", "relu1_1", "full", "mixed_float16", "uniform"]),
)
ITEMS = st.lists(st.integers(-1, 9) | ATOMS, max_size=4)
KEYS = st.sampled_from(["autoencoder", "prior", "x"])
# Gin has no word for infinity.
SMALL = st.sampled_from(REFERENCES) | st.one_of(
    st.integers(-2, 9), ATOMS, ITEMS, ITEMS.map(tuple), st.dictionaries(KEYS, ATOMS)
).map(lambda value: repr(value).replace("inf", "1e400"))


class Built(Exception):
    """The model is there, and the data is asked for."""


@fuzz.few_or_many(10, 200)
def test_bindings(cases, tmp_path, monkeypatch, faults):
    def stop(**_):
        raise Built

    monkeypatch.setattr(config, "_load_dataset", stop)
    files = [str(ROOT / "gin/embedded_digits_vae.gin")]

    def refused(params):
        try:
            line = refusal(config.train, tmp_path / "run", files, [*TINY, *params])
        except Built:
            line = None
        else:
            assert line is not None
        assert not (tmp_path / "run").exists()
        return line

    def case(drawn):
        part, name, parameter, value = drawn
        names = list(inspect.signature(CONFIGURABLES[name]).parameters)
        parameter = names[parameter % len(names)]
        params = [f"{name}.{parameter} = {value}"]
        if part is not None:
            params.insert(0, f"LatentVariableModel.{part} = @{name}()")
        line = refused(params)
        if line is None:
            return
        words = re.findall(r"\w+", line.replace("latent size", "latent_size"))
        # Or the part that it refers to, or that Keras refuses to make of it.
        of_value = re.findall(r"@(?:\w+/)*(\w+)", value)
        is_named = not {parameter, *of_value}.isdisjoint(words)
        is_named |= line.startswith(f"A value of {name} is wrong: ")
        # Or the part does not fit with any value.
        assert is_named or line == refused(params[:-1]), (params, line)

    inputs = st.one_of(
        *(
            st.tuples(st.just(part), st.sampled_from(names), NUMBERS, SMALL)
            for part, names in PARTS.items()
        ),
        st.tuples(
            st.none(),
            st.sampled_from(["train", "LatentVariableModel", "InfoGANEncoder", "Adam"]),
            NUMBERS,
            SMALL,
        ),
    )
    count = fuzz.run(case, inputs, cases)
    faults.add(
        "bindings of random values",
        f"hypothesis, seed {fuzz.SEED}: wrong types and numbers for every parameter",
        "the model is built, or refused with the name of the binding",
        times=count,
    )
