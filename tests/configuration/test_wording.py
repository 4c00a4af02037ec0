"""The names that a mistake is told to be near."""

import pytest

from tests.commands import ROOT
from tfp_priors.configuration import parse
from tfp_priors.errors import UserError

GIN = str(ROOT / "gin" / "mnist_beta0.gin")


def test_what_is_not_near_is_not_named():
    for param in ("train.epochs = 5", "Optimist.x = 1", "EPOCHS = 5"):
        with pytest.raises(UserError) as error:
            parse([GIN], [param])
        assert "Did you mean" not in str(error.value)


def test_unknown_file_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean .*mnist_beta0.gin"):
        parse([GIN.replace("beta0", "betta0")])
