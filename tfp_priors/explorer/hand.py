"""The picture in hand: its density, its neighbours, and what may be done with it."""

import base64
import io
import threading

import dash
import numpy as np
from dash import dcc
from dash import html

from tfp_priors.errors import UserError
from tfp_priors.explorer.elements import captioned
from tfp_priors.explorer.elements import choices
from tfp_priors.explorer.elements import clicked
from tfp_priors.explorer.elements import message
from tfp_priors.explorer.elements import of_runs
from tfp_priors.explorer.elements import picture
from tfp_priors.explorer.elements import shown
from tfp_priors.explorer.explored import Settings
from tfp_priors.explorer.views import Reference
from tfp_priors.explorer.views import settings

#: Inputs of callbacks that depend on what conditional runs are given, and of those
#: that draw, on how much it counts.
CONDITION = (dash.Input("label", "value"), dash.Input("attributes", "value"))
GIVEN = (*CONDITION, dash.Input("guidance", "value"))

_SPLITS = {"train": "training", "test": "test"}

# Test images that are offered, and uploads that are kept at once.
_OFFERED, _UPLOADS = 10, 6

_MEGABYTES = 20

_READING = threading.Lock()

# Uses of the picture in hand, by the name of the place where it is put.
_USES = {
    "from": "Start of the path",
    "to": "End of the path",
    "of": "Move its attributes",
}


def given_of(label, having) -> tuple[int, ...]:
    """What runs are given, by the values of `CONDITION`.

    Where no run is given labels there is none, and attributes may all be absent.
    """
    return tuple(having if label is None else [label])


def settings_of(given, seed=0, temperature=1.0) -> Settings:
    """Settings of the values of `GIVEN` and others.

    Raises:
      UserError: if one is empty or out of its range.
    """
    *condition, guidance = given
    values = {"seed": seed, "temperature": temperature, "guidance": guidance}
    for name, value in values.items():
        if value is None:
            raise UserError(f"{name} is empty or out of its range: give a number.")
    values["given"] = "+".join(map(str, given_of(*condition)))
    return settings({name: str(value) for name, value in values.items()})


def reader(uploads):
    """A function that gives the pixels of what a visitor uploaded, by name."""

    def read(name):
        content = (uploads or {}).get(name)
        if content is None:
            raise UserError(f"{name} is not here any more: upload it again.")
        pixels = np.asarray(content["pixels"], np.uint8)
        return pixels.reshape(content["shape"])

    return read


def layout(runs):
    """What is beside the tabs."""
    has_encoder = any(run.has_encoder for run in runs)
    first, second = ("test:0", "test:1") if has_encoder else ("draw:0", "draw:1")
    places = {"from": first, "to": second, "of": first}
    return [
        dcc.Store("hand", "session", data=first),
        dcc.Store("uploads", "session", data={}),
        # Where pictures in hand were put, by the names of `_USES`.
        dcc.Store("places", "session", data=places),
        html.H2("In hand"),
        html.Div([html.Button(text, id={"put": use}) for use, text in _USES.items()]),
        html.P(id="placed", className="note"),
        html.Div(id="in-hand"),
        html.Div(
            [
                html.H2("Test images"),
                html.Div(id="offered"),
                html.Button("Other test images", id="other-tests", n_clicks=0),
                dcc.Upload(
                    f"A picture of yours, of up to {_MEGABYTES} MB: drop it, or click",
                    id="upload",
                    max_size=_MEGABYTES * 10**6,
                    className="upload",
                    accept="image/*",
                ),
                html.P(
                    "It is cropped and scaled, stays in this tab of the browser, and "
                    "is not kept by the server.",
                    className="note",
                ),
                html.Div(id="uploaded"),
            ],
            hidden=not has_encoder,
        ),
    ]


def register(app, runs, program):
    """Makes it do what it shows."""
    del program
    _register_upload(app, runs[0])

    @app.callback(
        dash.Output("hand", "data"),
        dash.Input({"take": dash.ALL, "of": dash.ALL}, "n_clicks"),
        *(dash.Input(f"map-{i}", "clickData") for i in range(len(runs))),
        prevent_initial_call=True,
    )
    def take(*_):
        return _taken()

    @app.callback(
        dash.Output("places", "data"),
        dash.Input({"put": dash.ALL}, "n_clicks"),
        dash.State("hand", "data"),
        dash.State("places", "data"),
        prevent_initial_call=True,
    )
    def put(_, hand, places):
        if not clicked():
            return dash.no_update
        return places | {dash.ctx.triggered_id["put"]: hand}

    @app.callback(dash.Output("placed", "children"), dash.Input("places", "data"))
    @shown
    def place(places):
        start, end, edited = (Reference.parse(places[use]).title for use in _USES)
        return f"Path: {start} to {end}. Attributes: {edited}."

    @app.callback(
        dash.Output("offered", "children"), dash.Input("other-tests", "n_clicks")
    )
    @shown
    def offer(n):
        return _offered(runs, n or 0)

    @app.callback(
        dash.Output("in-hand", "children"),
        dash.Input("hand", "data"),
        *CONDITION,
        dash.State("uploads", "data"),
    )
    @shown
    def show(hand, *values):
        *condition, uploads = values
        given, reference = given_of(*condition), Reference.parse(hand)

        def one(run, number):
            del number
            return _in_hand(run, reference, reader(uploads), run.own(given))

        return [html.P(reference.title), of_runs(runs, one)]


def _register_upload(app, run):
    @app.callback(
        dash.Output("uploads", "data"),
        dash.Output("hand", "data", allow_duplicate=True),
        dash.Output("uploaded", "children"),
        # So that the same file can be uploaded again.
        dash.Output("upload", "contents"),
        dash.Input("upload", "contents"),
        dash.State("upload", "filename"),
        dash.State("uploads", "data"),
        prevent_initial_call=True,
    )
    def upload(content, name, uploads):
        if content is None:
            return [dash.no_update] * 4
        try:
            pixels = _read(content, name, run.dataset())
        except UserError as error:
            told = message(str(error))
            return dash.no_update, dash.no_update, told, None
        others = [(n, old) for n, old in uploads.items() if n != name]
        newest = {"shape": list(pixels.shape), "pixels": pixels.ravel().tolist()}
        # The browser keeps some megabytes.
        kept = dict([*others[1 - _UPLOADS :], (name, newest)])
        return kept, str(Reference("file", name=name)), [], None


def _taken():
    """The reference of what was taken."""
    trigger = dash.ctx.triggered_id
    if not clicked():
        return dash.no_update
    if isinstance(trigger, str):  # A map.
        index = dash.ctx.triggered[0]["value"]["points"][0].get("customdata")
        return dash.no_update if index is None else f"test:{index}"
    return trigger["take"]


def _read(content, name, dataset):
    """The pixels of an upload, uint8, cropped and scaled as the data set's are."""
    try:
        data = base64.b64decode(content.partition(",")[2], validate=True)
    except ValueError as error:
        raise UserError(f"Cannot read {name}: expected a picture.") from error
    file = io.BytesIO(data)
    file.name = name
    # Pillow's limits, which are set meanwhile, are those of all threads.
    with _READING:
        return dataset.read_picture(file)


def _offered(runs, number):
    run = next((run for run in runs if run.has_encoder), None)
    if run is None:
        return []
    size = run.dataset().size
    start = number * _OFFERED % size
    indices = [i % size for i in range(start, start + min(_OFFERED, size))]
    images = np.asarray(run.dataset().gather(indices)["image"])
    references = [Reference("test", i) for i in indices]
    return choices(images, references, [f"Test image {i}" for i in indices], "offered")


def _in_hand(run, reference, read, given):
    """What a run says of the picture."""
    point = reference.point(run, read, given)
    pictures = [captioned(point.image, "the picture")]
    if reference.kind != "draw":
        decoded = run.decoded(point.z[None], point.given)[0]
        pictures.append(captioned(decoded, "its reconstruction"))
    density = run.log_density(point.z[None], point.given)
    told = [] if density is None else [html.P(f"log p(z) = {density[0]:.2f} nats")]
    neighbours = run.neighbours(point.image)
    for split, found in neighbours.items():
        told.append(html.P(f"Nearest {_SPLITS[split]} images, and their distance"))
        rows = [
            html.Figure(
                [
                    picture(image, f"{split} image {number}"),
                    html.Figcaption(f"{distance:.2f}"),
                ]
            )
            for image, number, distance in zip(
                found.images[0], found.numbers[0], found.distances[0], strict=True
            )
        ]
        told.append(html.Div(rows, className="neighbours"))
    return [html.Div(pictures, className="beside"), *told]
