"""Gin files: what they may name, and their strict reading.

Only `config`, `commands/` and the tests import it; the library works without gin.
"""

from tfp_priors.configuration.parsing import of_idle_optimizers
from tfp_priors.configuration.parsing import parse
from tfp_priors.configuration.parts import used_owners
from tfp_priors.configuration.reading import allow_imports
from tfp_priors.configuration.reading import refused_values
from tfp_priors.configuration.registry import CONFIGURABLES
from tfp_priors.configuration.registry import Trainer
from tfp_priors.configuration.registry import load_dataset
