"""Parts of the explorer's page: pictures to choose from, lines, what saves a view."""

import base64
import functools
import shlex
from collections.abc import Callable, Sequence

import dash
import numpy as np
import plotly.graph_objects as go
from dash import dcc
from dash import html

from tfp_priors.errors import UserError
from tfp_priors.explorer.explored import Explored
from tfp_priors.explorer.views import Reference
from tfp_priors.figures.grid import image_grid
from tfp_priors.figures.grid import png

#: What a figure's own tools are; none of them leads elsewhere.
TOOLS = {
    "displaylogo": False,
    "modeBarButtons": [
        ["toImage", "zoom2d", "pan2d", "select2d", "lasso2d", "resetScale2d"]
    ],
}


def picture(image: np.ndarray, alt: str, large: bool = False) -> html.Img:
    """A picture that is only seen, of an image `[height, width, channels]`."""
    content = base64.b64encode(png(image_grid(image[None]))).decode()
    return html.Img(
        src=f"data:image/png;base64,{content}",
        alt=alt,
        className="large picture" if large else "picture",
    )


def captioned(
    image: np.ndarray, caption: str, log_density: np.ndarray | None = None
) -> html.Figure:
    """A large picture with a caption and, if there is one, log p(z), `[1]`."""
    lines = [caption]
    if log_density is not None:
        lines += [html.Br(), f"log p(z) {log_density[0]:.2f} nats"]
    seen = picture(image, caption, large=True)
    return html.Figure([seen, html.Figcaption(lines)])


def choices(
    images: np.ndarray, references: Sequence[Reference], names: Sequence[str], of: str
) -> html.Div:
    """Pictures, each a button that takes it in hand; `of` tells equal ones apart."""
    return html.Div(
        [
            html.Button(
                picture(image, ""),
                id={"take": str(reference), "of": of},
                title=name,
                className="choice",
                **{"aria-label": name},
            )
            for image, reference, name in zip(images, references, names, strict=True)
        ],
        className="choices",
    )


def message(text: str) -> html.P:
    """A line of what cannot be done."""
    return html.P(text, className="message", role="alert")


def shown(callback: Callable) -> Callable:
    """A callback of one output, whose `UserError` becomes a line on the page."""

    @functools.wraps(callback)
    def guarded(*args):
        try:
            return callback(*args)
        except UserError as error:
            return message(str(error))

    return guarded


def saving(run: Explored, number: int, view: str, program: str) -> html.Div:
    """A button that saves a view, and the command that makes it again."""
    line = f"{program} --run_dir={shlex.quote(run.name)} --view={shlex.quote(view)}"
    return html.Div(
        [
            html.Button("Save as PNG", id={"save": view, "run": number}),
            html.Code(f"{line} --out=view.png"),
        ],
        className="saving",
    )


def of_runs(runs: Sequence[Explored], made: Callable) -> html.Div:
    """What `made` makes of each run and its number, side by side."""
    columns = []
    for number, run in enumerate(runs):
        content = shown(made)(run, number)
        heading = [html.H3(run.name)] if len(runs) > 1 else []
        columns.append(html.Div([*heading, html.Div(content)], className="run"))
    return html.Div(columns, className="runs")


def clicked() -> bool:
    """Whether a button was pressed, rather than put on the page."""
    return bool(dash.ctx.triggered and dash.ctx.triggered[0]["value"])


def labelled(text: str, control, name: str) -> html.Div:
    """A control under its label, which is also said to those who do not see it."""
    label = html.Label(text, htmlFor=name)
    called = {"aria-label": text}
    return html.Div([label, control], className="control", role="group", **called)


def slider(name: str, low: float, high: float, value: float, step: float) -> dcc.Slider:
    """A slider that tells its value while it is dragged, and keeps it over a reload."""
    return dcc.Slider(
        low,
        high,
        step,
        value=value,
        id=name,
        marks=None,
        updatemode="drag",
        persistence=True,
        persistence_type="session",
        tooltip={"placement": "bottom", "always_visible": False},
    )


def bare(figure: go.Figure, x: str, y: str) -> go.Figure:
    """A figure with its axes named, on the ground of the page, light or dark."""
    axis = {"gridcolor": "rgba(128, 128, 128, 0.25)", "zeroline": False}
    return figure.update_layout(
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        font={"color": "#808a94"},
        modebar={
            "bgcolor": "rgba(0, 0, 0, 0)",
            "color": "#808a94",
            "activecolor": "#3d8bd9",
        },
        margin={"l": 50, "r": 10, "t": 30, "b": 45},
        xaxis={**axis, "title": x},
        yaxis={**axis, "title": y},
    )
