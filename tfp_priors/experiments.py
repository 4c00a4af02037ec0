"""Experiments by name: a data set's gin file with a model's, or a file of its own."""

import difflib
import itertools
import re
import textwrap
from pathlib import Path

_MODELS = "models"
_LIKELIHOOD = "likelihood"
_PROTOCOL = f"{_LIKELIHOOD}/protocol.gin"


def folder() -> Path:
    """The folder gin/ of this package: of the checkout, or as it was installed."""
    package = Path(__file__).resolve().parent
    installed = package / "gin"
    return installed if installed.is_dir() else package.parent / "gin"


def gin_files(path: str | Path) -> list[Path]:
    """The files that the name of an experiment stands for.

    gin/NAME, where there is no such file, is that of `folder`.

    FOLDER/DATA_MODEL.gin stands for FOLDER/DATA.gin, which sets IMAGE_SHAPE, and then
    FOLDER/models/MODEL.gin, if these are there and it is not. Otherwise a name stands
    for itself.
    """
    path = Path(path).expanduser()
    known = _known(path)
    if known.is_file():
        return [known]
    if path.suffix == ".gin":
        for i in (i for i, letter in enumerate(path.stem) if letter == "_"):
            data, model = path.stem[:i], path.stem[i + 1 :]
            parts = [known.with_name(f"{data}.gin"), _model(known.parent, model)]
            if all(part.is_file() for part in parts) and _is_data_set(parts[0]):
                return parts
    return [path]


def _known(path):
    """The path, or that of the package if gin/ is not in the present folder."""
    is_ours = path.parts[:1] == ("gin",) and not path.parent.is_dir()
    return folder() / Path(*path.parts[1:]) if is_ours else path


def nearest(path: str | Path) -> str | None:
    """The name of an experiment that a wrong name is nearest to, if one is near."""
    path = Path(path).expanduser()
    folder = _known(path).parent
    files = [file.stem for file in folder.glob("*.gin")]
    models = [file.stem for file in folder.glob(f"{_MODELS}/*.gin")]
    names = dict.fromkeys(
        [*files, *map("_".join, itertools.product(data_sets(folder), models))]
    )
    near = difflib.get_close_matches(path.stem, names, n=1)
    return str(path.with_name(f"{near[0]}.gin")) if near else None


def data_sets(folder: str | Path) -> list[str]:
    """Names of the data sets that have a gin file in a folder."""
    return sorted(
        path.stem for path in Path(folder).glob("*.gin") if _is_data_set(path)
    )


def listing(folder: str | Path) -> str:
    """What there is in a folder of gin files, to be read by people."""
    folder = Path(folder)
    names = data_sets(folder)
    sets = [folder / f"{name}.gin" for name in names]
    models = sorted(folder.glob(f"{_MODELS}/*.gin"))
    rows = sorted({*folder.glob(f"{_LIKELIHOOD}/*.gin")} - {folder / _PROTOCOL})
    others = sorted({*folder.glob("*.gin")} - {*sets, folder / "base.gin"})
    return "\n".join(
        [
            f"Data sets, {folder.name}/DATA.gin:",
            *map(_line, sets),
            f"Models, {folder.name}/{_MODELS}/MODEL.gin:",
            *map(_line, models),
            "Experiments with settings of their own:",
            *map(_line, others),
            f"Likelihoods beside published ones, {folder.name}/{_LIKELIHOOD}/ROW.gin:",
            *map(_line, rows),
            f"--gin_file={folder.name}/DATA_MODEL.gin is DATA with MODEL.",
        ]
    )


def _is_data_set(path):
    """Whether a file says what images there are."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return re.search(r"^IMAGE_SHAPE\s*=", text, re.MULTILINE) is not None


def _model(folder, name):
    return folder / _MODELS / f"{name}.gin"


def _line(path):
    """A file's name and the first sentence of its comment."""
    comment = itertools.takewhile(
        lambda line: line.startswith("#"),
        path.read_text(encoding="utf-8", errors="replace").splitlines(),
    )
    text = " ".join(line.removeprefix("#").strip() for line in comment)
    # To the end of a sentence, other than "et al.", or to a command.
    sentence = re.split(r"(?<!al)[.:]\s+(?=[A-Z])|:\s+bin/", text + " ")[0]
    return f"  {path.stem:31}{textwrap.shorten(sentence.rstrip('. '), 90)}"
