"""Texts of views, there and back, and their pictures."""

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.explorer.test_explored import SHAPE
from tests.explorer.test_explored import labelled  # noqa: F401
from tests.explorer.test_explored import run  # noqa: F401
from tests.explorer.test_explored import with_attributes  # noqa: F401
from tfp_priors.errors import UserError
from tfp_priors.explorer import Settings
from tfp_priors.explorer import picture_of
from tfp_priors.explorer.views import Reference
from tfp_priors.explorer.views import region_of
from tfp_priors.explorer.views import text_of
from tfp_priors.figures.grid import image_grid

SETTINGS = st.builds(
    Settings,
    st.integers(0, 2**31 - 1),
    st.integers(0, 100).map(lambda n: n / 20),
    st.lists(st.integers(0, 50), max_size=3).map(tuple),
    st.integers(0, 50).map(lambda n: n / 10),
)


def read(name):
    assert name == "mine & yours.png"
    return np.full(SHAPE, 51, np.uint8)


@given(st.integers(0, 63), SETTINGS, st.sampled_from([64, 4096]))
def test_a_reference_to_a_draw_is_there_and_back(index, settings, of):
    reference = Reference("draw", index, settings, of=of)
    assert Reference.parse(str(reference)) == reference


@given(st.integers(0, 10**6), st.text(string.printable, min_size=1))
def test_other_references_are_there_and_back(index, name):
    for reference in (Reference("test", index), Reference("file", name=name)):
        assert Reference.parse(str(reference)) == reference


def test_short_references():
    for text, seed in (("draw:5", 0), ("draw:5:3", 3)):
        reference = Reference("draw", 5, Settings(seed, given=None))
        assert Reference.parse(text) == reference == Reference.parse(str(reference))


def test_a_reference_leaves_out_what_another_run_takes(run, labelled):  # noqa: F811
    reference = Reference("draw", 5, Settings(3, given=(1,), guidance=2.0))
    assert str(reference.fitting(run)) == "draw:5:3:1::1"
    assert reference.fitting(labelled) == reference
    picture_of(run, f"path?from=test:0&to={reference.fitting(run)}", read)


def test_draws_are_a_grid_of_the_models(run):  # noqa: F811
    view = text_of("draws", {}, Settings(seed=4, temperature=0.5))
    assert view == "draws?seed=4&temperature=0.5"
    expected = image_grid(run.model.sample(64, 4, 0.5))
    difference = picture_of(run, view, read).astype(int) - expected
    assert np.abs(difference).max() <= 1


def test_a_path_has_a_row_for_each_space_and_its_ends_are_decoded(run):  # noqa: F811
    view = text_of("path", {"from": Reference("test", 3), "to": "draw:5:1"})
    assert view == "path?from=test:3&to=draw:5:1"
    picture = picture_of(run, view, read).astype(int)
    size = SHAPE[0]
    assert picture.shape == (2 * size + 2, 11 * size + 20, 1)
    start = 255 * run.decoded(run.test_image(3).z[None])[0]
    end = 255 * run.model.sample(64, 1)[5].numpy()
    for top in (0, size + 2):
        row = picture[top : top + size]
        assert np.abs(row[:, :size] - start).max() <= 1
        assert np.abs(row[:, -size:] - end).max() <= 1


def test_an_edit_shows_the_picture_and_both_spaces(run):  # noqa: F811
    reference = Reference("file", name="mine & yours.png")
    view = text_of("edit", {"of": reference, 1: 0.5})
    assert view == "edit?of=file:mine %26 yours.png&1=0.5"
    picture = picture_of(run, view, read)
    assert picture.shape == (8, 3 * 8 + 4, 1)
    np.testing.assert_array_equal(picture[:, :8], read("mine & yours.png"))


def test_a_region_gives_draws_within(run):  # noqa: F811
    corners = [(-1e3, -1e3), (1e3, -1e3), (1e3, 1e3), (-1e3, 1e3)]
    text = ";".join(f"{x:g},{y:g}" for x, y in corners)
    np.testing.assert_array_equal(region_of(text), corners)
    everywhere = picture_of(run, f"map?region={text}", read).astype(int)
    expected = image_grid(run.decoded(run.codes(Settings(), 4096)[:64]))
    assert np.abs(everywhere - expected).max() <= 1
    with pytest.raises(UserError, match="No draw lies in the region"):
        picture_of(run, "map?region=900,900;901,900;901,901", read)


def test_a_draw_on_a_path_is_given_the_label_of_the_path(labelled):  # noqa: F811
    view = "path?from=test:0&to=draw:5&given=2"
    end = labelled.model.sample_of_condition(2, 64)[5].numpy()
    picture = picture_of(labelled, view, read)[:8, -8:].astype(int)
    assert np.abs(picture - 255 * end).max() <= 1


def test_a_draw_keeps_what_it_was_given(labelled, with_attributes):  # noqa: F811
    """Whatever the page gives now."""
    for of, chosen in (
        (with_attributes, ()),
        (with_attributes, (0,)),
        (labelled, (1,)),
    ):
        how = Settings(3, given=chosen)
        point = Reference.parse(str(Reference("draw", 5, how))).point(of, read, (2,))
        assert point.given == chosen
        np.testing.assert_array_equal(point.z, of.codes(how)[5])
    # A label there must be, and a draw of a run without one has none.
    assert Reference("draw", 5).point(labelled, read, (2,)).given == (2,)
    assert Reference.parse("draw:5").point(with_attributes, read, (2,)).given == (2,)


def test_a_label_is_given(labelled):  # noqa: F811
    picture = picture_of(labelled, "draws?given=2&guidance=2", read).astype(int)
    expected = image_grid(labelled.model.sample_of_condition(2, 64, 0, 1.0, 2.0))
    assert np.abs(picture - expected).max() <= 1


@pytest.mark.parametrize(
    "view, message",
    [
        ("paths", "no view 'paths': choose of draws, path, map, edit"),
        ("draws?sed=1", "the view has no 'sed'"),
        ("draws?seed", "'seed' in the view: expected NAME=VALUE"),
        ("draws?seed=1&seed=2", "'seed=2' in the view: expected NAME=VALUE, each"),
        ("path?from=test:0&to=test:1&seed=7", "the view has no 'seed'"),
        ("draws?seed=-1", "seed=-1: expected a whole number"),
        ("draws?seed=2147483648", "expected a whole number from 0 to 2147483647"),
        ("draws?temperature=nan", "temperature=nan: expected a number"),
        ("draws?given=1", "RUN takes no given"),
        ("draws?guidance=2", "RUN takes no guidance"),
        ("path?from=test:0", "needs to=PICTURE"),
        ("path?from=test:0&to=tset:1", "'tset:1' is no picture"),
        ("path?from=test:0&to=draw:1/65", "'draw:1/65' is no picture"),
        ("path?from=test:0&to=draw:1:0:1:2", "RUN takes no given"),
        ("path?from=test:0&to=test:40", "no test image 40: expected 0 to 39"),
        ("map?region=1,2;3,4", "is no region: expected three corners"),
        ("map?region=1,2;3,4;5,inf", "is no region"),
        ("map", "is no region"),
        ("edit?of=test:0&7=1", "no attribute 7: expected 0 to 2"),
        ("edit?of=test:0&1=x", "attribute 1=x: expected a number"),
    ],
)
def test_what_is_no_view_is_told(run, view, message):  # noqa: F811
    with pytest.raises(UserError, match=message):
        picture_of(run, view, read)
