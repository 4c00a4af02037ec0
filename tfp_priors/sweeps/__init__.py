"""Sweeps: a grid of gin bindings over bin/train and bin/evaluate."""

from tfp_priors.sweeps.axes import Layout
from tfp_priors.sweeps.axes import first_of_each
from tfp_priors.sweeps.axes import layout
from tfp_priors.sweeps.axes import number_axis
from tfp_priors.sweeps.grid import Axis
from tfp_priors.sweeps.grid import Run
from tfp_priors.sweeps.grid import command_line
from tfp_priors.sweeps.grid import describe
from tfp_priors.sweeps.grid import parse_axis
from tfp_priors.sweeps.grid import plan
from tfp_priors.sweeps.hparams import write_hparams
from tfp_priors.sweeps.processes import Sweeper
from tfp_priors.sweeps.results import SEED
from tfp_priors.sweeps.results import table
from tfp_priors.sweeps.results import values_of
from tfp_priors.sweeps.results import write_table
