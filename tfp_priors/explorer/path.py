"""The way from one picture to another, in z0 and in z, side by side."""

import dash
import numpy as np
import plotly.graph_objects as go
from dash import dcc
from dash import html

from tfp_priors.evaluation.paths import STEPS
from tfp_priors.explorer.elements import TOOLS
from tfp_priors.explorer.elements import bare
from tfp_priors.explorer.elements import captioned
from tfp_priors.explorer.elements import labelled
from tfp_priors.explorer.elements import of_runs
from tfp_priors.explorer.elements import picture
from tfp_priors.explorer.elements import saving
from tfp_priors.explorer.elements import shown
from tfp_priors.explorer.elements import slider
from tfp_priors.explorer.hand import CONDITION
from tfp_priors.explorer.hand import given_of
from tfp_priors.explorer.hand import reader
from tfp_priors.explorer.views import Reference
from tfp_priors.explorer.views import text_of

TITLE = "Path"

# Points of the curve of densities.
_POINTS = 41

_WAYS = {"z0": "slerp in z0", "z": "lerp in z"}


def layout(runs):
    """What is on the tab."""
    del runs
    return [
        html.P(
            "Take a picture in hand, a draw, a test image or one of yours, and make it "
            "the start or the end.",
            className="note",
        ),
        labelled("t, from the start to the end", slider("t", 0.0, 1.0, 0.5, 0.01), "t"),
        html.Div(id="path-at"),
        html.Div(id="path"),
    ]


def register(app, runs, program):
    """Makes the tab do what it shows."""
    inputs = (
        dash.Input("places", "data"),
        *CONDITION,
        dash.State("uploads", "data"),
    )

    def ends(run, places, values):
        *condition, uploads = values
        given = run.own(given_of(*condition))
        read = reader(uploads)
        ends = (Reference.parse(places[use]) for use in ("from", "to"))
        references = [end.fitting(run) for end in ends]
        points = [reference.point(run, read, given) for reference in references]
        return references, points, given

    @app.callback(dash.Output("path", "children"), *inputs)
    @shown
    def show(places, *values):
        def one(run, number):
            references, points, given = ends(run, places, values)
            start, end = references
            view = text_of("path", {"from": start, "to": end, "given": given})
            return [
                *_rows(run, *points, given),
                *_densities(run, *points, given),
                saving(run, number, view, program),
            ]

        return of_runs(runs, one)

    @app.callback(dash.Output("path-at", "children"), dash.Input("t", "value"), *inputs)
    @shown
    def show_at(t, places, *values):
        def one(run, number):
            del number
            _, (a, b), given = ends(run, places, values)
            spaces = run.along(a.z, b.z, np.array([float(t)]), given)
            between = [
                captioned(image, _WAYS[space], run.log_density(z, given))
                for space, z in spaces.items()
                for image in run.decoded(z, given)
            ]
            start, end = captioned(a.image, "the start"), captioned(b.image, "the end")
            return html.Div([start, *between, end], className="beside")

        return of_runs(runs, one)


def _rows(run, a, b, given):
    spaces = run.along(a.z, b.z, np.linspace(0, 1, STEPS), given)
    for space, codes in spaces.items():
        images = run.decoded(codes, given)
        row = [
            picture(image, f"{_WAYS[space]}, t = {i / (STEPS - 1):.1f}")
            for i, image in enumerate(images)
        ]
        yield html.P(_WAYS[space], className="note")
        yield html.Div(row, className="row")


def _densities(run, a, b, given):
    """A figure of log p(z) on both ways, if there is a density."""
    if not run.has_density:
        return
    t = np.linspace(0, 1, _POINTS)
    lines = [
        go.Scatter(x=t, y=run.log_density(codes, given), name=_WAYS[space])
        for space, codes in run.along(a.z, b.z, t, given).items()
    ]
    figure = bare(go.Figure(lines), "t", "log p(z), nats")
    figure.update_layout(legend={"orientation": "h", "y": 1.1})
    style = {"height": "18rem"}
    yield dcc.Graph(figure=figure, config=TOOLS, responsive=True, style=style)
