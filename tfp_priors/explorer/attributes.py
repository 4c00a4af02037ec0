"""A picture whose attributes are moved, in z0 and in z."""

import dash
from dash import html

from tfp_priors.explorer.elements import captioned
from tfp_priors.explorer.elements import labelled
from tfp_priors.explorer.elements import message
from tfp_priors.explorer.elements import of_runs
from tfp_priors.explorer.elements import saving
from tfp_priors.explorer.elements import shown
from tfp_priors.explorer.elements import slider
from tfp_priors.explorer.hand import CONDITION
from tfp_priors.explorer.hand import given_of
from tfp_priors.explorer.hand import reader
from tfp_priors.explorer.views import Reference
from tfp_priors.explorer.views import text_of

TITLE = "Attributes"

# Sliders; more could not be taken in at a glance.
_MOST = 40


def layout(runs):
    """What is on the tab."""
    count = _count(runs)
    what = "Class" if count and runs[0].has_classes else "Attribute"
    return [
        html.P(
            "Each slider moves the code along the vector between the mean codes of "
            "test images without and with an attribute, or of other classes and of "
            "one; 1 is the whole vector.",
            className="note",
        ),
        html.Div(
            [
                labelled(
                    f"{what} {i}",
                    slider({"amount": i}, -2.0, 2.0, 0.0, 0.05),
                    f"amount-{i}",
                )
                for i in range(count)
            ],
            className="controls",
        ),
        html.Button("All to 0", id="no-amounts"),
        html.Div(id="edited"),
    ]


def _count(runs):
    return min(max(run.attribute_count for run in runs), _MOST)


def register(app, runs, program):
    """Makes the tab do what it shows."""
    count = _count(runs)

    @app.callback(
        dash.Output({"amount": dash.ALL}, "value"),
        dash.Input("no-amounts", "n_clicks"),
        prevent_initial_call=True,
    )
    def reset(_):
        return [0.0] * count

    @app.callback(
        dash.Output("edited", "children"),
        dash.Input("places", "data"),
        dash.Input({"amount": dash.ALL}, "value"),
        *CONDITION,
        dash.State("uploads", "data"),
    )
    @shown
    def show(places, values, *others):
        *condition, uploads = others
        given = given_of(*condition)
        reference = Reference.parse(places["of"])
        amounts = {i: float(x) for i, x in enumerate(values) if x}
        if not count:
            return message("The data has no attributes and no labels.")

        def one(run, number):
            own = run.own(given)
            point = reference.point(run, reader(uploads), own)
            named = {"of": reference.fitting(run), **amounts, "given": own}
            return [
                html.Div([*_pictures(run, point, amounts, own)], className="beside"),
                saving(run, number, text_of("edit", named), program),
            ]

        return of_runs(runs, one)


def _pictures(run, point, amounts, given):
    yield captioned(point.image, "the picture")
    for space, codes in run.edited(point.z, amounts, given).items():
        (image,) = run.decoded(codes, given)
        yield captioned(image, f"moved in {space}", run.log_density(codes, given))
