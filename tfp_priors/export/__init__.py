"""Models for programs without this project, and without TensorFlow."""

from tfp_priors.export.formats import FORMATS
from tfp_priors.export.formats import check_new
from tfp_priors.export.formats import export
