"""Scalars of TensorBoard events, against TensorFlow's own writer."""

import math

import pytest
import tensorflow as tf

from tests.sweeps import stand_in
from tfp_priors.runs.scalars import Scalars


def test_scalars_are_those_that_tensorflow_writes(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    scalars = Scalars(tmp_path, "held_out/prior_nll")
    assert list(scalars.new()) == []
    for step, value in ((10, 0.25), (20, math.pi)):
        with writer.as_default(step=step):
            tf.summary.scalar("held_out/prior_nll", value)
            tf.summary.scalar("held_out/other", 9.0)
            tf.summary.image("samples", tf.zeros([1, 30, 30, 3]))
        # They are there at the end of the block, as those of `Summaries` are.
        new = [("held_out/prior_nll", step, pytest.approx(value))]
        assert list(scalars.new()) == new
    writer.close()
    assert list(scalars.new()) == []
    # A resumed training writes a file of its own.
    writer = tf.summary.create_file_writer(str(tmp_path), filename_suffix=".later")
    for step in (20, 30):
        with writer.as_default(step=step):
            tf.summary.scalar("held_out/prior_nll", step)
    again = [("held_out/prior_nll", step, float(step)) for step in (20, 30)]
    assert list(scalars.new()) == again
    writer.close()


def test_part_of_a_record_is_read_once_it_is_whole(tmp_path):
    stand_in.write_scalar(tmp_path / "whole", 1, 0.5)
    stand_in.write_scalar(tmp_path / "whole", 2, 0.75)
    (whole,) = (tmp_path / "whole").iterdir()
    text = whole.read_bytes()
    scalars = Scalars(tmp_path, "train/val_loss")
    read = []
    for end in range(len(text) + 1):
        (tmp_path / whole.name).write_bytes(text[:end])
        read += [(end, step, value) for _, step, value in scalars.new()]
    half = len(text) // 2
    assert read == [(half, 1, 0.5), (len(text), 2, 0.75)]
