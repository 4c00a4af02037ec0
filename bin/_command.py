"""What all commands share: the environment, flags, and errors on one line."""

import errno
import os
import sys
import warnings
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent

#: The folder of the experiments.
GIN = _ROOT / "gin"


def _enter_environment():
    """Runs the command in the project's .venv, if there is one and none is active."""
    python = _ROOT / ".venv" / "bin" / "python"
    if sys.prefix == sys.base_prefix and python.exists():
        os.execv(python, [str(python), *sys.argv])
    sys.path.insert(0, str(_ROOT))
    # TensorFlow's own messages bury those of the commands.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # So that commands share a GPU: an evaluation beside a training.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    # Whatever the user's shell or keras.json says.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        import absl  # noqa: F401
    except ImportError:
        _fail("the packages are not installed: run bin/quickstart, or pip install -e .")


def _fail(message, code=2):
    from tfp_priors.errors import printable

    sys.stderr.write(f"{Path(sys.argv[0]).name}: {printable(message)}\n")
    sys.exit(code)


_enter_environment()

from absl import app  # noqa: E402
from absl import flags  # noqa: E402
from absl import logging  # noqa: E402


def _help(doc):
    lines = [doc.strip(), "", "Flags:"]
    for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0]):
        default = (
            "" if flag.default in (None, [], "") else f" (default: {flag.default})"
        )
        # absl adds a remark of its own to flags that may be repeated.
        text = flag.help.split("\n")[0].removesuffix(";")
        name = f"--{flag.name}" if flag.boolean else f"--{flag.name}=..."
        lines.append(f"  {name:<18} {text}{default}")
    return "\n".join(lines) + "\n"


def _parse(argv, doc):
    if any(argument in ("--help", "-h", "--helpfull") for argument in argv[1:]):
        sys.stdout.write(_help(doc))
        sys.exit(0)
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        _fail(f"{str(error).strip()} See --help.")
    for flag in flags.FLAGS.flag_values_dict():
        _expand_home(flags.FLAGS[flag])
    if len(rest) > 1:
        _fail(f"unexpected argument {rest[1]!r}; flags look like --name=value.")
    return rest


def _expand_home(flag):
    """Does what a shell does not after "=": a path may begin with ~."""
    if isinstance(flag.value, str) and flag.value.startswith("~"):
        flag.value = os.path.expanduser(flag.value)
    elif isinstance(flag.value, list):
        flag.value = [
            os.path.expanduser(v) if isinstance(v, str) and v.startswith("~") else v
            for v in flag.value
        ]


def run(main, doc):
    """Parses the flags, calls main() and turns users' mistakes into one line.

    Args:
      main: function without arguments.
      doc: the text of --help.
    """

    def guarded(_):
        logging.set_verbosity(logging.ERROR)
        warnings.formatwarning = _one_line
        from tfp_priors.errors import NonFiniteError
        from tfp_priors.errors import RunsFailedError
        from tfp_priors.errors import UserError
        from tfp_priors.errors import WorkerLostError

        try:
            main()
        except UserError as error:
            _fail(str(error).splitlines()[0])
        except (NonFiniteError, RunsFailedError, WorkerLostError) as error:
            _fail(str(error).splitlines()[0], code=1)
        except KeyboardInterrupt:
            _fail("interrupted", code=130)
        except Exception as error:
            message = _disk_problem(error) or _path_problem(error)
            if message is None:
                raise
            _fail(message)

    app.run(guarded, flags_parser=lambda argv: _parse(argv, doc))


def _one_line(message, *_):
    return f"{Path(sys.argv[0]).name}: warning: {message}\n"


def import_tensorflow():
    """Imports TensorFlow without the lines that it writes before it can be told."""
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w", encoding="utf-8") as null:
            os.dup2(null.fileno(), 2)
        import tensorflow  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _disk_problem(error):
    """One line for a disk that is full or refuses, None for other errors."""
    from tfp_priors.files import disk_error
    from tfp_priors.files import is_disk_full

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
