"""The codes of test images in a plane, and the prior's draws in a region of it."""

import math

import dash
import numpy as np
import plotly.graph_objects as go
from dash import dcc
from dash import html

from tfp_priors.errors import UserError
from tfp_priors.explorer.elements import TOOLS
from tfp_priors.explorer.elements import bare
from tfp_priors.explorer.elements import captioned
from tfp_priors.explorer.elements import choices
from tfp_priors.explorer.elements import message
from tfp_priors.explorer.elements import saving
from tfp_priors.explorer.elements import shown
from tfp_priors.explorer.explored import MANY
from tfp_priors.explorer.hand import GIVEN
from tfp_priors.explorer.hand import settings_of
from tfp_priors.explorer.views import Reference
from tfp_priors.explorer.views import region_of
from tfp_priors.explorer.views import text_of

TITLE = "Map"

# Of a region, whose text is to be read: a hand draws hundreds.
_MOST_CORNERS = 24


def layout(runs):
    """What is on the tab."""
    return [
        html.P(
            "The codes of test images in the plane of their largest variance. Hover "
            "over one to see it, click it to take it in hand, draw around some to see "
            "what the prior draws there.",
            className="note",
        ),
        html.Div(
            [_column(run, i, len(runs)) for i, run in enumerate(runs)], className="runs"
        ),
    ]


def _column(run, number, count):
    graph = dcc.Graph(
        id=f"map-{number}",
        config=TOOLS,
        clear_on_unhover=True,
        responsive=True,
        style={"height": "32rem"},
    )
    heading = [html.H3(run.name)] if count > 1 else []
    about, within = html.Div(id=f"about-{number}"), html.Div(id=f"within-{number}")
    tooltip = dcc.Tooltip(id=f"hover-{number}")
    return html.Div([*heading, about, graph, tooltip, within], className="run")


def register(app, runs, program):
    """Makes the tab do what it shows."""
    for number, run in enumerate(runs):
        _register(app, run, number, program)


def _register(app, run, number, program):
    graph, tooltip = f"map-{number}", f"hover-{number}"

    @app.callback(
        dash.Output(graph, "figure"),
        dash.Output(f"about-{number}", "children"),
        dash.Input("tab", "data"),
    )
    def show(tab):
        if tab != TITLE:
            return dash.no_update, dash.no_update
        try:
            known = run.map()
        except UserError as error:
            return bare(go.Figure(), "", ""), message(str(error))
        share = f"The plane has {known.share:.0%} of the codes' variance."
        return _figure(known), html.P(share, className="note")

    @app.callback(
        dash.Output(tooltip, "show"),
        dash.Output(tooltip, "bbox"),
        dash.Output(tooltip, "children"),
        dash.Input(graph, "hoverData"),
        prevent_initial_call=True,
    )
    def hover(data):
        if not data:
            return False, dash.no_update, dash.no_update
        (point, *_) = data["points"]
        if "customdata" not in point:  # A corner of what was drawn around.
            return False, dash.no_update, dash.no_update
        index = int(point["customdata"])
        image = np.asarray(run.dataset().gather([index])["image"])[0]
        seen = captioned(image, f"test image {index}")
        return True, point["bbox"], seen

    @app.callback(
        dash.Output(f"within-{number}", "children"),
        dash.Input(graph, "selectedData"),
        dash.Input("seed", "value"),
        dash.Input("temperature", "value"),
        *GIVEN,
        prevent_initial_call=True,
    )
    @shown
    def within(selected, seed, temperature, *given):
        region = _region(selected)
        if not region:
            return []
        how = run.fitting(settings_of(given, seed, temperature))
        return _draws_within(run, number, region, how, program)


def _figure(known):
    labels = np.zeros(len(known.points), int) if known.labels is None else known.labels
    numbers = np.arange(len(labels))
    traces = [
        go.Scatter(
            x=known.points[labels == label, 0],
            y=known.points[labels == label, 1],
            # As an array it would be packed, and no event would tell it.
            customdata=numbers[labels == label].tolist(),
            mode="markers",
            name=str(label),
            marker={"size": 4, "opacity": 0.7},
            hoverinfo="none",
        )
        for label in np.unique(labels)
    ]
    figure = go.Figure(traces)
    figure.update_layout(
        dragmode="lasso",
        showlegend=known.labels is not None,
        # What is drawn around stays while seeds and labels change.
        uirevision="map",
    )
    return bare(figure, "principal component 1", "principal component 2")


def _region(selected):
    """The corners of what was drawn around, as the text of a view; "" for nothing."""
    around = (selected or {}).get("lassoPoints")
    if around:
        corners = [*zip(around["x"], around["y"], strict=True)]
        corners = corners[:: math.ceil(len(corners) / _MOST_CORNERS)]
    elif "range" in (selected or {}):
        (x0, x1), (y0, y1) = selected["range"]["x"], selected["range"]["y"]
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    else:
        return ""
    return ";".join(f"{x:.3g},{y:.3g}" for x, y in corners)


def _draws_within(run, number, region, how, program):
    chosen, codes, share = run.within(region_of(region), how)
    told = html.P(f"{share:.1%} of {MANY:,} draws lie there, by the prior.")
    if not len(codes):
        return [told]
    references = [Reference("draw", int(i), how, of=MANY) for i in chosen]
    names = [f"Draw {i} of {MANY}" for i in chosen]
    images = run.decoded(codes, how.given)
    return [
        told,
        choices(images, references, names, f"within {number}"),
        saving(run, number, text_of("map", {"region": region}, how), program),
    ]
