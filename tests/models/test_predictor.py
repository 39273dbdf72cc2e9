"""A predictor, a snapshot of a model with packed weights, predicts the same bits."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stream_models import MODELS, model_of


@pytest.mark.parametrize("name", MODELS)
def test_predictors_give_the_bits_of_the_model(name, dtype):
    model, x = model_of(MODELS[name], dtype.name)
    predictor = model.predictor()
    lengths = np.array([3, 9, 1])
    for given in ({}, {"lengths": lengths}, {"mask": np.arange(9) % 2 < lengths[:, np.newaxis]}):
        assert predictor.predict(x, **given).tobytes() == model.predict(x, **given).tobytes()
        assert pickle.dumps(predictor.run(x, **given)) == pickle.dumps(model.run(x, **given))
    assert copy.copy(predictor) is predictor
    for twin in (copy.deepcopy(predictor), pickle.loads(pickle.dumps(predictor))):
        assert twin.predict(x).tobytes() == model.predict(x).tobytes()
    stream = predictor.stream()
    for x_t in x[0]:
        y = stream.step(x_t)
    expected = model.predict(x[:1])[0]
    np.testing.assert_array_equal(y, expected if expected.ndim == 1 else expected[-1])


def test_predictors_ignore_later_changes_of_parameters():
    model, x = model_of(MODELS["stacked"])
    predictor, before = model.predictor(), model.predict(x)
    model.params[:] = 0
    np.testing.assert_array_equal(predictor.predict(x), before)


def test_predictors_work_in_many_python_threads():
    model, x = model_of(MODELS["stacked"])
    predictor, expected = model.predictor(), model.predict(x)
    with ThreadPoolExecutor(8) as pool:
        for y in pool.map(predictor.predict, [x] * 200):
            assert y.tobytes() == expected.tobytes()
