"""What the page's controls say that runs are given."""

import pytest

from tfp_priors.errors import UserError
from tfp_priors.explorer import Settings
from tfp_priors.explorer.hand import settings_of


@pytest.mark.parametrize(
    "label, having, given",
    [(7, [], (7,)), (0, [], (0,)), (None, [], ()), (None, [2, 0], (2, 0))],
)
def test_a_label_or_attributes_or_none_of_them(label, having, given):
    expected = Settings(seed=3, temperature=0.5, given=given, guidance=2.0)
    assert settings_of((label, having, 2), 3, 0.5) == expected


def test_an_empty_field_is_told():
    with pytest.raises(UserError, match="temperature is empty or out of its range"):
        settings_of((None, [], 1.0), 0, None)
