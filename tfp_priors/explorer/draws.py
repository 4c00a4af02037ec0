"""Draws of the prior at a seed and a temperature."""

import dash
from dash import dcc
from dash import html

from tfp_priors.explorer.elements import choices
from tfp_priors.explorer.elements import labelled
from tfp_priors.explorer.elements import of_runs
from tfp_priors.explorer.elements import saving
from tfp_priors.explorer.elements import shown
from tfp_priors.explorer.elements import slider
from tfp_priors.explorer.hand import GIVEN
from tfp_priors.explorer.hand import settings_of
from tfp_priors.explorer.views import Reference
from tfp_priors.explorer.views import text_of

TITLE = "Draws"


def layout(runs):
    """What is on the tab."""
    del runs
    seed = dcc.Input(
        0,
        "number",
        min=0,
        max=2**31 - 1,
        step=1,
        id="seed",
        persistence=True,
        persistence_type="session",
    )
    return [
        html.Div(
            [
                html.Div([labelled("Seed", seed, "seed")]),
                labelled(
                    "Temperature: factor on the standard deviation of z0",
                    slider("temperature", 0.0, 2.0, 1.0, 0.05),
                    "temperature",
                ),
            ],
            className="controls",
        ),
        html.Button("Other draws", id="other-draws"),
        html.Div(id="draws"),
    ]


def register(app, runs, program):
    """Makes the tab do what it shows."""

    # Without a way to the server: the next number is the next seed.
    app.clientside_callback(
        "(n, seed) => (Number.isInteger(seed) ? seed : -1) + 1",
        dash.Output("seed", "value"),
        dash.Input("other-draws", "n_clicks"),
        dash.State("seed", "value"),
        prevent_initial_call=True,
    )

    @app.callback(
        dash.Output("draws", "children"),
        dash.Input("seed", "value"),
        dash.Input("temperature", "value"),
        *GIVEN,
    )
    @shown
    def draw(seed, temperature, *given):
        how = settings_of(given, seed, temperature)

        def one(run, number):
            own = run.fitting(how)
            images = run.decoded(run.codes(own), own.given)
            references = [Reference("draw", i, own) for i in range(len(images))]
            names = [f"Draw {i} of seed {own.seed}" for i in range(len(images))]
            return [
                choices(images, references, names, f"draws {number}"),
                saving(run, number, text_of("draws", {}, own), program),
            ]

        return of_runs(runs, one)
