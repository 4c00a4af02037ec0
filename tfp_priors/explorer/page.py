"""The explorer's page: what is on it, and what happens when it is touched."""

from collections.abc import Sequence

import dash
from dash import dcc
from dash import html

from tfp_priors import __version__
from tfp_priors.errors import UserError
from tfp_priors.explorer import attributes as attributes_tab
from tfp_priors.explorer import code_map
from tfp_priors.explorer import draws
from tfp_priors.explorer import hand
from tfp_priors.explorer import path
from tfp_priors.explorer.elements import clicked
from tfp_priors.explorer.elements import labelled
from tfp_priors.explorer.elements import message
from tfp_priors.explorer.elements import slider
from tfp_priors.explorer.explored import Explored
from tfp_priors.explorer.views import picture_of
from tfp_priors.figures.grid import png
from tfp_priors.report.page import STYLE

_TABS = (draws, path, code_map, attributes_tab)

# What the page may load: itself. Dash writes its own configuration as a script.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; "
    "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'"
)

# Of what one visitor sends: an upload, in base64, and room for the rest.
_LARGEST = 32 * 2**20

_OWN_STYLE = """
html:root {
  --Dash-Text-Weak: var(--soft); --Dash-Text-Disabled: var(--soft);
  --Dash-Text-Primary: var(--ink); --Dash-Text-Strong: var(--ink);
  --Dash-Stroke-Weak: var(--line); --Dash-Stroke-Strong: var(--soft);
  --Dash-Fill-Inverse-Strong: var(--ground); --Dash-Fill-Disabled: var(--line);
  --Dash-Fill-Interactive-Strong: var(--accent);
}
body { max-width: 90rem; }
h3 { margin: 0.75rem 0 0.25rem; font-size: 1rem; }
#columns { display: grid; grid-template-columns: minmax(0, 1fr) 22rem; gap: 0 2rem; }
.runs { display: flex; flex-wrap: wrap; gap: 0 2rem; }
.run { flex: 1 1 20rem; min-width: 0; }
.choices { display: flex; flex-wrap: wrap; gap: 3px; }
#draws .choices { display: grid; grid-template-columns: repeat(8, minmax(0, 1fr));
  max-width: 42rem; }
.choice { padding: 0; border: 2px solid transparent; background: none;
  cursor: pointer; }
.choice:hover, .choice:focus-visible { border-color: var(--accent); outline: none; }
.picture { width: 100%; min-width: 2.5rem; image-rendering: pixelated; }
.large { width: 8rem; }
.neighbours { display: flex; gap: 0.5rem; }
.neighbours figure { margin: 0; }
.neighbours .picture { width: 4rem; }
.choices .picture { width: 3.25rem; }
#draws .picture { width: 100%; min-width: 0; }
.row { display: grid; grid-template-columns: repeat(11, minmax(0, 1fr)); gap: 2px; }
.row .picture { min-width: 0; }
.beside { display: grid; grid-template-columns: repeat(4, minmax(0, 8rem)); gap: 1rem; }
.beside .large { width: 100%; }
aside .beside { grid-template-columns: repeat(2, minmax(0, 8rem)); }
.beside figure, .control { margin: 0.5rem 0; }
.tabs { margin-bottom: 1rem; border-bottom: 1px solid var(--line); }
.tabs button { margin: 0 0.25rem -1px 0; border-radius: 4px 4px 0 0; }
.tabs button[aria-pressed="true"] { color: var(--accent); font-weight: 600;
  background: var(--ground); border-bottom-color: var(--ground); }
aside h2:first-of-type { margin-top: 0.5rem; }
.controls { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr));
  gap: 0 2rem; align-items: end; }
.control label, .note { color: var(--soft); font-size: 0.9rem; }
.message { color: #b3261e; font-weight: 500; }
@media screen and (prefers-color-scheme: dark) { .message { color: #ff8a80; } }
.saving { margin: 0.75rem 0; }
.saving code, .line { display: block; margin: 0.5rem 0; padding: 0.5rem;
  font: 0.8rem/1.4 ui-monospace, monospace; background: var(--box); }
button, .upload { font: inherit; }
button:not(.choice) { margin: 0 0.5rem 0.5rem 0; padding: 0.3rem 0.75rem;
  color: var(--ink); background: var(--box); border: 1px solid var(--line);
  border-radius: 4px; cursor: pointer; }
.upload { padding: 0.6rem; border: 1px dashed var(--line); text-align: center;
  cursor: pointer; }
.upload:focus-within { outline: 2px solid var(--accent); }
input[type="number"] { width: 8rem; padding: 0.3rem; font: inherit; color: var(--ink);
  background: var(--ground); border: 1px solid var(--line); }
[hidden] { display: none !important; }
@media (max-width: 60rem) { #columns { grid-template-columns: minmax(0, 1fr); } }
"""


def make_app(runs: Sequence[Explored], program: str = "bin/explore") -> dash.Dash:
    """The application; `app.server` is one of WSGI.

    Args:
      runs: what is looked at, side by side.
      program: how the commands on the page begin.
    """
    app = dash.Dash(
        "tfp_priors",
        title="Explorer",
        update_title=None,
        assets_folder="",
        suppress_callback_exceptions=True,
    )
    app.index_string = (
        '<!DOCTYPE html>\n<html lang="en"><head>{%metas%}<title>{%title%}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="icon" href="data:,">{%css%}'
        f"<style>{STYLE}{_OWN_STYLE}</style></head>\n"
        "<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>"
        "</html>\n"
    )
    app.server.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost"]
    app.server.config["MAX_CONTENT_LENGTH"] = _LARGEST
    app.server.after_request(_restricted)
    app.layout = _layout(runs)
    for part in (hand, *_TABS):
        part.register(app, runs, program)
    _register_tabs(app)
    _register_saving(app, runs)
    return app


def _restricted(response):
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _layout(runs):
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Explorer"),
                    html.P(f"{_of(runs)}. tfp_priors {__version__}", className="note"),
                ]
            ),
            _given(runs),
            html.Div(
                [
                    html.Main([_tabs(), *(_section(tab, runs) for tab in _TABS)]),
                    html.Aside(hand.layout(runs)),
                ],
                id="columns",
            ),
            dcc.Download(id="download"),
            html.Div(id="not-saved"),
        ]
    )


def _tabs():
    buttons = [html.Button(tab.TITLE, id={"tab": tab.TITLE}) for tab in _TABS]
    chosen = dcc.Store("tab", "session", data=draws.TITLE)
    return html.Nav([chosen, *buttons], className="tabs")


def _section(tab, runs):
    label = {"aria-label": tab.TITLE}
    return html.Section(tab.layout(runs), id={"section": tab.TITLE}, **label)


def _register_tabs(app):
    # In the browser alone: nothing of it needs the server.
    app.clientside_callback(
        """(clicks) => clicks.some(Boolean)
          ? dash_clientside.callback_context.triggered_id.tab
          : dash_clientside.no_update""",
        dash.Output("tab", "data"),
        dash.Input({"tab": dash.ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        """(chosen, sections) => [
          sections.map((id) => id.section !== chosen),
          sections.map((id) => String(id.section === chosen)),
        ]""",
        dash.Output({"section": dash.ALL}, "hidden"),
        dash.Output({"tab": dash.ALL}, "aria-pressed"),
        dash.Input("tab", "data"),
        dash.State({"section": dash.ALL}, "id"),
    )


def _of(runs):
    return "; ".join(
        f"{run.name}: {type(run.model.prior).__name__}, code of "
        f"{' x '.join(map(str, run.model.code_shape))} numbers"
        for run in runs
    )


def _given(runs):
    """What conditional runs are given: on the page in any case, seen if there are."""
    conditions = {run.condition: run.given_count for run in runs if run.condition}
    is_guided = any(run.model.has_guidance for run in runs)
    labels, attributes = (
        [{"label": str(i), "value": i} for i in range(conditions.get(kind, 0))]
        for kind in ("label", "attributes")
    )
    kept = {"persistence": True, "persistence_type": "session"}
    first = 0 if labels else None
    label = dcc.Dropdown(labels, first, id="label", clearable=False, **kept)
    having = dcc.Checklist(attributes, [], id="attributes", inline=True, **kept)
    guidance = slider("guidance", 0.0, 5.0, 1.0, 0.1)
    return html.Div(
        [
            html.Div(labelled("Label", label, "label"), hidden=not labels),
            html.Div(
                labelled("Attributes that images have", having, "attributes"),
                hidden=not attributes,
            ),
            html.Div(
                labelled("Guidance: how much draws are of it", guidance, "guidance"),
                hidden=not is_guided,
            ),
        ],
        className="controls",
    )


def _register_saving(app, runs):
    @app.callback(
        dash.Output("download", "data"),
        dash.Output("not-saved", "children"),
        dash.Input({"save": dash.ALL, "run": dash.ALL}, "n_clicks"),
        dash.State("uploads", "data"),
        prevent_initial_call=True,
    )
    def save(_, uploads):
        if not clicked():
            return dash.no_update, dash.no_update
        view = dash.ctx.triggered_id["save"]
        run = runs[dash.ctx.triggered_id["run"]]
        try:
            pixels = picture_of(run, view, hand.reader(uploads))
        except UserError as error:
            return dash.no_update, message(str(error))
        name = view.partition("?")[0]
        return dcc.send_bytes(png(pixels), f"{name}.png", type="image/png"), []
