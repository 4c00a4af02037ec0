"""The documentation site: the pages in Markdown, and the docstrings of what rooms show.

Its source is the whole checkout, so that links between pages are those of the files.
"""

import importlib
import inspect as python_inspect
import re
import shutil
from pathlib import Path

import keras
from sphinx.util import inspect

from tfp_priors.core.configured import Configured

project = "tfp_priors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = ["*.md", "docs/**", "benchmarks/README.md"]
# So that these are not even looked through.
exclude_patterns = [".*", "build", "runs", "tests", "tfp_priors", "gin", "bin"]
html_theme = "furo"
html_title = project
# Links of Markdown to headings of other pages.
myst_heading_anchors = 4
# The notebook is kept without results, and trains for some minutes: bin/docs runs it.
nb_execution_mode = "off"
_WITH_RESULTS = Path(__file__).parent.parent / "build" / "tutorial.ipynb"
# Indented blocks are commands more often than Python.
highlight_language = "none"
# Single backticks are code.
default_role = "code"
autodoc_member_order = "bysource"
# Else Keras' pages stand under each method that is overridden.
autodoc_inherit_docstrings = False
autodoc_default_options = {"show-inheritance": True}
napoleon_custom_sections = [("Call arguments", "params_style")]

_CONTENTS = {
    "To use": """
docs/tutorial
docs/models
docs/datasets
docs/codes
docs/metrics
docs/distributed
docs/reliability
docs/faq
""",
    "What is shown": """
docs/results/README
docs/results/*/README
docs/reproducing
docs/performance
benchmarks/README
""",
    "To change": """
CONTRIBUTING
docs/house
docs/design
CHANGELOG
SECURITY
""",
    "API": """
docs/api/*
""",
}

# Made anew by each build, and not kept.
_CLASS_PAGES = "docs/api/classes"
_CLASS_PAGE = """# {name}

```{{eval-rst}}
.. autoclass:: tfp_priors.{room}.{name}
   :members:
```
"""
_SHOWN = re.compile(
    r"\.\. automodule:: tfp_priors\.(\w+)\n   :members:\n   :imported-members:"
    r"(?!\n   :exclude-members)"
)
_CODE = re.compile(r"(`+[^`]*`+)")
_CLASS = re.compile(r"`([A-Z]\w*)`")
_MARKS = re.compile(r"[*|]|(?<=\w)_(?!\w)")
_ONE_LINE = re.compile(r"(\s*)(Raises|Returns): (.+)")
_KERAS = ("kwargs", "activity_regularizer", "trainable", "dtype", "autocast", "name")


def _with_contents(app, docname, source):
    """The first page is the README; the site alone has contents beside it."""
    if docname != app.config.root_doc:
        return
    for caption, pages in _CONTENTS.items():
        options = f":caption: {caption}\n:hidden:\n:glob:"
        source[0] += f"\n```{{toctree}}\n{options}\n{pages}```\n"


def _classes(room):
    """The names of the classes that a room shows."""
    shown = vars(importlib.import_module(f"tfp_priors.{room}"))
    return sorted(
        name
        for name, value in shown.items()
        if python_inspect.isclass(value) and not name.startswith("_")
    )


def _write_class_pages(app):
    """A page for each class of the rooms whose pages show what they import."""
    folder, pages = Path(app.srcdir, _CLASS_PAGES), {}
    for page in folder.parent.glob("*.md"):
        room = _SHOWN.search(page.read_text(encoding="utf-8"))
        for name in _classes(room[1]) if room else ():
            text = _CLASS_PAGE.format(name=name, room=room[1])
            pages[folder / room[1] / f"{name}.md"] = text
    for path in {*folder.rglob("*.md")} - {*pages}:
        path.unlink()
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _with_class_pages(app, docname, source):
    """The page of a room leads to those of its classes, and has the rest itself."""
    del app
    room = _SHOWN.search(source[0]) if docname.startswith("docs/api/") else None
    if room and (names := _classes(room[1])):
        excluded = f"{room[0]}\n   :exclude-members: {', '.join(names)}"
        pages = "\n".join(f"classes/{room[1]}/{name}" for name in names)
        source[0] = source[0].replace(room[0], excluded)
        source[0] += f"\n```{{toctree}}\n{pages}\n```\n"


def _with_results(app, docname, source):
    """The tutorial with its results, if there are any."""
    del app
    if docname == "docs/tutorial" and _WITH_RESULTS.is_file():
        source[0] = _WITH_RESULTS.read_text(encoding="utf-8")


def _as_text(text):
    """A line that links classes, and whose asterisks and the like are no marks."""
    parts = _CODE.split(text)
    return "".join(
        _CLASS.sub(r":py:class:`.\1`", part) if i % 2 else _MARKS.sub(r"\\\g<0>", part)
        for i, part in enumerate(parts)
    )


def _with_sections(lines):
    """The lines, with a section of one line as one of two."""
    for line in lines:
        match = _ONE_LINE.fullmatch(line)
        if match:
            yield f"{match[1]}{match[2]}:"
            line = f"{match[1]}  {match[3]}"
        yield line


def _from_plain(app, what, name, obj, options, lines):
    """Docstrings are plain text in which an indented block is an equation."""
    del app, name, obj, options
    if what in ("attribute", "property") and lines and ":" in lines[0]:
        lines[0] = f": {lines[0]}"  # Napoleon takes what is before a colon for a type.
    found, in_section, in_block = [], False, False
    for line in _with_sections(lines):
        indent = len(line) - len(line.lstrip())
        if line and not indent:
            in_section, in_block = line.endswith(":"), False
        after_blank = bool(found) and not found[-1]
        if indent >= 4 and after_blank and not in_section and not in_block:
            found += ["::", ""]
            in_block = True
        is_code = in_block or line.lstrip().startswith((">>>", "..."))
        found.append(line if is_code else _as_text(line))
    lines[:] = found


def _skip(app, what, name, obj, skip, options):
    """The fields of a named tuple are among its attributes already."""
    del app, what, name, options
    return True if type(obj).__name__ == "_tuplegetter" else skip


def _signature(app, what, name, obj, options, signature, returns):
    """Arguments are those of `__init__`, without those of all layers."""
    del app, name, options
    if what == "class" and issubclass(obj, (keras.layers.Layer, Configured)):
        found = inspect.signature(obj.__init__, bound_method=True)
        shown = [p for p in found.parameters.values() if p.name not in _KERAS]
        signature = inspect.stringify_signature(found.replace(parameters=shown))
    return signature, returns


def _first_page(app, exception):
    if exception is None and app.builder.format == "html":
        shutil.copy(Path(app.outdir, "README.html"), Path(app.outdir, "index.html"))


def setup(app):
    app.connect("builder-inited", _write_class_pages)
    app.connect("source-read", _with_contents)
    app.connect("source-read", _with_class_pages)
    app.connect("source-read", _with_results)
    app.connect("autodoc-process-docstring", _from_plain, priority=400)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    app.connect("build-finished", _first_page)
