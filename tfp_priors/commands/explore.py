"""Shows the latent space of runs in the browser, on this machine alone.

bin/explore --run_dir=runs/mnist_beta0
bin/explore --run_dir=runs/mnist_beta0 --run_dir=runs/mnist_vae
bin/explore --run_dir=RUN --view='path?from=test:3&to=draw:5' --out=path.png

The page has draws of the prior, paths between pictures, a map of the codes and sliders
of attributes; two runs stand side by side. It loads nothing from a network. Every view
of it has a text, by which --view writes it as a PNG file without a page:

  draws?seed=1&temperature=0.8            path?from=PICTURE&to=PICTURE
  map?region=X,Y;X,Y;X,Y&seed=1           edit?of=PICTURE&NUMBER=AMOUNT

where a PICTURE is test:INDEX, file:PATH, or draw:INDEX:SEED:TEMPERATURE:GIVEN:GUIDANCE,
of which draw:INDEX may do; in a PATH, & is %26 and % is %25. Runs that are given labels
or attributes take &given=7, or &given=0+3, and draws those with guidance &guidance=2.
"""

import logging
import shlex
import socket
import webbrowser
from pathlib import Path

from absl import flags

from tfp_priors import remote
from tfp_priors.commands import command
from tfp_priors.commands import gin_flags
from tfp_priors.errors import UserError
from tfp_priors.errors import imported
from tfp_priors.runs.run_dir import UNREAD

_RUN_DIR = flags.DEFINE_multi_string(
    "run_dir", [], "Folder of a run of bin/train; repeatable."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data [TFDS's].")
_PORT = flags.DEFINE_integer(
    "port", 8050, "Of the page; 0: any that is free.", lower_bound=0, upper_bound=65535
)
_OPEN = flags.DEFINE_boolean("open", False, "Open the page in the browser.")
_VIEW = flags.DEFINE_string("view", None, "Write a view, and show no page.")
_OUT = flags.DEFINE_string("out", None, "PNG file of --view.")
flags.adopt_module_key_flags(gin_flags)

# Of a run on a store: it is only read, and not all of it.
WRITTEN = ("out",)
WITHOUT = UNREAD

# More columns would be too narrow.
_MOST_RUNS = 3


def main():
    if not 1 <= len(_RUN_DIR.value) <= _MOST_RUNS:
        raise UserError(
            f"expected --run_dir=FOLDER, one to {_MOST_RUNS} times, see --help."
        )
    given = [flag.value for flag in (_VIEW, _OUT) if flag.value is not None]
    if len(given) == 1 or "" in given:
        raise UserError("expected --view=VIEW and --out=FILE.png together, or neither.")
    if _VIEW.value and len(_RUN_DIR.value) > 1:
        raise UserError("--view is of one run: give one --run_dir.")
    if given and Path(_OUT.value).suffix.lower() not in ("", ".png"):
        raise UserError(f"expected --out=FILE.png, received --out={_OUT.value}.")
    if given and Path(_OUT.value).is_dir():
        raise UserError(f"expected --out=FILE.png, received a folder, {_OUT.value}.")
    if given:
        _write_view()
        return
    listening = _listening(_PORT.value)
    command.import_tensorflow()
    imported("dash", "explore", "bin/explore without --view and --out")
    from tfp_priors.explorer.page import make_app

    runs = {folder: _explored(folder) for folder in _RUN_DIR.value}
    _check_same_data(runs)
    app = make_app([explored for _, explored in runs.values()], _program())
    _serve(app.server, listening)


def _listening(port):
    """A socket of this machine alone.

    Raises:
      UserError: if the port is taken.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen()
    except OSError as error:
        raise UserError(
            f"port {port} is not free ({error.strerror}): choose another --port, or 0 "
            "for any."
        ) from error
    return listening


def _explored(folder):
    """The name of a run's data set, and the run as the explorer sees it."""
    from tfp_priors.explorer import Explored
    from tfp_priors.models import GenerativeModel

    run = gin_flags.config().load_run(folder, _DATA_DIR.value, GenerativeModel)
    explored = Explored(run.model, run.load_dataset, remote.named(folder))
    return run.dataset, explored


def _check_same_data(runs):
    """Raises: UserError: if the runs are not of one data set."""
    kinds = {
        folder: (dataset, explored.model.image_shape)
        for folder, (dataset, explored) in runs.items()
    }
    (first, kind), *others = kinds.items()
    for folder, other in others:
        if other != kind:
            raise UserError(
                f"{first} is of {kind[0]} {tuple(kind[1])}, {folder} of {other[0]} "
                f"{tuple(other[1])}: give runs of one data set."
            )


def _program():
    words = [command.told("bin/explore")]
    if _DATA_DIR.value:
        words.append(f"--data_dir={shlex.quote(_DATA_DIR.value)}")
    if flags.FLAGS["allow_gin_imports"].value:
        words.append("--allow_gin_imports")
    return " ".join(words)


def _serve(application, listening):
    from werkzeug.serving import make_server

    # It would write a line for each request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = listening.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    server = make_server(
        "127.0.0.1", port, application, threaded=True, fd=listening.fileno()
    )
    command.say(f"The explorer is at {address} for this machine; Ctrl+C ends it.")
    if _OPEN.value:
        webbrowser.open(address)
    server.serve_forever()


def _write_view():
    command.import_tensorflow()
    from tfp_priors.explorer import picture_of
    from tfp_priors.figures.grid import save_image

    _, run = _explored(_RUN_DIR.value[0])

    def read(name):
        if not Path(name).is_file():
            raise UserError(f"there is no picture {name}: expected the path of a file.")
        return run.dataset().read_picture(Path(name))

    save_image(picture_of(run, _VIEW.value, read), _OUT.value)
    command.say(f"{_VIEW.value} of {run.name} in {_OUT.value}")
