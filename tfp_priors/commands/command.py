"""What all commands share: the environment, flags, and errors on one line."""

import contextlib
import errno
import functools
import os
import re
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

from absl import app
from absl import flags
from absl import logging

from tfp_priors import remote
from tfp_priors.errors import NonFiniteError
from tfp_priors.errors import RunsFailedError
from tfp_priors.errors import StoreError
from tfp_priors.errors import UserError
from tfp_priors.errors import WorkerLostError
from tfp_priors.errors import first_line
from tfp_priors.errors import printable
from tfp_priors.errors import silenced
from tfp_priors.files import disk_error
from tfp_priors.files import is_disk_full

# TensorFlow's own messages bury those of the commands.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# So that commands share a GPU: an evaluation beside a training.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
# Whatever the user's shell or keras.json says.
os.environ["KERAS_BACKEND"] = "tensorflow"


# Flags of what may be on a store that are read where they are used, and of what most
# commands write to; the others are read alone.
_OF_DATA = ("data_dir", "codes", "context")
_WRITTEN = ("run_dir", "out")

# Keras imports them, where they are, for wrappers, galleries and data frames of its
# own: more than a second.
_UNUSED = ("matplotlib", "pandas", "sklearn")


def told(text: str) -> str:
    """A text with commands as the user calls them, and paths as they were given."""
    text = remote.named(text)
    if Path(sys.argv[0]).parent.name == "bin":
        return text
    return re.sub(r"(?<![\w./-])bin/(\w+)", r"tfp-priors \1", text)


def say(text: str) -> None:
    """Prints a text, see `told`, once what it may speak of is on the stores."""
    remote.settle()
    print(told(text), flush=True)


def tell(text: str) -> None:
    """Prints what is no result, see `told`, to stderr."""
    print(told(text), file=sys.stderr, flush=True)


def _fail(message, code=2):
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {printable(told(message))}\n")
    sys.exit(code)


def _help(module):
    # So absl calls a script.
    name = sys.argv[0] if module.__name__ == "__main__" else module.__name__
    lines = [told(module.__doc__.strip()), "", "Flags:"]
    for flag in flags.FLAGS.get_key_flags_for_module(name):
        default = (
            "" if flag.default in (None, [], "") else f" (default: {flag.default})"
        )
        # absl adds a remark of its own to flags that may be repeated.
        text = told(flag.help.split("\n")[0].removesuffix(";"))
        name = f"--{flag.name}" if flag.boolean else f"--{flag.name}=..."
        lines.append(f"  {name:<18} {text}{default}")
    return "\n".join(lines) + "\n"


def _parse(argv, module):
    if any(argument in ("--help", "-h", "--helpfull") for argument in argv[1:]):
        sys.stdout.write(_help(module))
        sys.exit(0)
    for stream in (sys.stdout, sys.stderr):
        # A path may have letters that the terminal's encoding has not.
        stream.reconfigure(errors="backslashreplace")
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        _fail(f"{str(error).strip().rstrip('.')}. See --help.")
    for name in flags.FLAGS.flag_values_dict():
        _replace(flags.FLAGS[name], _home_expanded)
    if len(rest) > 1:
        _fail(f"unexpected argument {rest[1]!r}; flags look like --name=value.")
    return rest


def _replace(flag, function):
    """Puts a function of a flag's value, or of each of several, in its place."""
    if isinstance(flag.value, list):
        flag.value = list(map(function, flag.value))
    else:
        flag.value = function(flag.value)


def _home_expanded(value):
    """Does what a shell does not after "=": a path may begin with ~."""
    return os.path.expanduser(value) if isinstance(value, str) else value


def _main(module):
    """Calls main() with copies of what the flags name on stores."""
    try:
        for name in flags.FLAGS.flag_values_dict():
            _replace(flags.FLAGS[name], functools.partial(_copy_of, module, name))
        module.main()
    finally:
        remote.close()


def _copy_of(module, name, value):
    """The copy of what a flag of a command names on a store; other values as they
    are."""
    if not isinstance(value, str):
        return value
    remote.check_place(value)
    if not remote.is_remote(value) or name in _OF_DATA:
        return value
    if name == "cache_dir":
        raise UserError(f"expected a --cache_dir on this disk, received {value}.")
    without = getattr(module, "WITHOUT", ())
    if name in getattr(module, "WRITTEN", _WRITTEN):
        copy = remote.mirrored(value, without=without)
    else:
        copy = remote.cached(value, without=without if name == "run_dir" else ())
    return f"{copy}/" if value.endswith("/") else str(copy)


def run(module) -> None:
    """Parses the flags, calls main() and turns users' mistakes into one line.

    Args:
      module: has a function `main` of no arguments, and the text of --help; perhaps
        `WITHOUT`, names of folders of a run or sweep on a store that it does not need,
        and `WRITTEN`, the flags whose folders and files it writes to.
    """

    def guarded(_):
        logging.set_verbosity(logging.ERROR)
        warnings.formatwarning = _one_line

        try:
            _main(module)
        except UserError as error:
            # Gin adds lines on where it was.
            _fail(first_line(error))
        except (
            NonFiniteError,
            RunsFailedError,
            StoreError,
            WorkerLostError,
        ) as error:
            _fail(first_line(error), code=1)
        except KeyboardInterrupt:
            _fail("interrupted", code=130)
        except Exception as error:
            message = _disk_problem(error) or _path_problem(error)
            if message is None:
                raise
            _fail(message)

    app.run(guarded, flags_parser=lambda argv: _parse(argv, module))


def _one_line(message, *_):
    return f"{Path(sys.argv[0]).name}: warning: {message}\n"


def import_tensorflow(and_probability: bool = False) -> None:
    """Imports TensorFlow, and TFP, without what they write and have no use for."""
    with silenced(), _hidden(*_UNUSED):
        import tensorflow  # noqa: F401

        if and_probability:
            import tensorflow_probability  # noqa: F401


@contextlib.contextmanager
def _hidden(*modules):
    """Lets modules that are not imported yet seem not to be installed."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _disk_problem(error):
    """One line for a disk that is full or refuses, None for other errors."""
    found = disk_error(error)
    if found is None:
        return None
    where = f" ({found.filename})" if found.filename else ""
    if is_disk_full(found):
        return (
            f"no space left on the disk{where}: make room and run the same command "
            "again; what was complete before is still there."
        )
    what = "read-only disk" if found.errno == errno.EROFS else "permission denied"
    return f"{what}{where}: choose a folder that you may write to."


def _path_problem(error):
    """One line for a path that cannot be one of its kind, None for other errors."""
    kinds = (errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR)
    if not isinstance(error, OSError) or error.errno not in kinds:
        return None
    return f"cannot use the path {error.filename}: {error.strerror}; choose another."


class Given(NamedTuple):
    """How bin/sample is told the condition of a model.

    Attributes:
      flag: its name.
      value: what the flag expects.
      example: of it.
      without: what a model is not that does not have it.
    """

    flag: str
    value: str
    example: str
    without: str


#: By what the model calls its condition, see `Conditioner.argument`.
GIVEN = {
    "pose": Given("keypoints", "TABLE, JSON or CSV", "TABLE", "conditional on a pose"),
    "label": Given("label", "NUMBER, or all", "all", "given labels"),
    "attributes": Given("attributes", "NUMBERS", "0", "given attributes"),
    "context": Given("context", "FILE.npy", "FILE.npy", "given a context"),
}


def given_to(model) -> str:
    """What a line of bin/sample needs besides, for a conditional model."""
    if model.conditioner is None:
        return ""
    given = GIVEN[model.conditioner.argument]
    return f" --{given.flag}={given.example}"
