import json

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfp_priors.evaluation.records import record


def test_lines_and_scalars(tmp_path):
    results = [{"name": f"metric{i}", "value": 0.5 + i} for i in range(3)]
    records = []
    for part in (results[:2], results[2:]):
        records += record(tmp_path / "run", part, 7, dataset="mnist")
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert [json.loads(line) for line in text.splitlines()] == records
    for line, result in zip(records, results, strict=True):
        assert result.items() <= line.items()
        assert line["step"] == 7 and line["dataset"] == "mnist"
        assert {"commit", "time", "tfp_priors"} <= set(line)
    folder = tmp_path / "run" / "evaluation"
    assert len(list(folder.iterdir())) == 1
    events = EventAccumulator(str(folder)).Reload()
    for result in results:
        (event,) = events.Tensors(result["name"])
        assert event.step == 7
        value = float(tf.make_ndarray(event.tensor_proto))
        assert value == pytest.approx(result["value"])
