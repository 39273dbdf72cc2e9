"""Weights from PyTorch's modules and into them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fusedlstm import (
    LSTMClassifier,
    LSTMRegressor,
    Sequential,
    load_torch_state_dict,
    to_torch_state_dict,
)
from fusedlstm.layers import GRU, LSTM, RNN, Dense, Dropout, LastStep, PeepholeLSTM

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

X = np.random.default_rng(0).standard_normal((4, 7, 3))


def stacked(make, count, *rest, input_size=3):
    return Sequential([*[make] * count, *rest], input_size, "float64")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(
    ("theirs", "ours", "options", "own"),
    [
        ("LSTM", LSTM, {}, {}),
        ("LSTM", LSTM, {"bias": False}, {}),
        ("LSTM", LSTM, {"proj_size": 2}, {"projection_size": 2}),
        ("GRU", GRU, {}, {}),
        ("GRU", GRU, {"bias": False}, {}),
        ("RNN", RNN, {}, {}),
        ("RNN", RNN, {"nonlinearity": "relu"}, {"activation": "relu"}),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_weights_of_modules_survive_a_round_trip(theirs, ours, options, own, layers, bidirectional):
    torch.manual_seed(0)
    module = getattr(torch.nn, theirs)(
        3, 5, layers, batch_first=True, bidirectional=bidirectional, **options
    ).double()
    model = stacked(ours(5, bidirectional, **own), layers)
    load_torch_state_dict(model, module.state_dict())
    with torch.no_grad():
        expected = module(torch.from_numpy(X))[0].numpy()
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-14)

    back = to_torch_state_dict(model)
    assert all(value.dtype == torch.float64 for value in back.values())
    again = stacked(ours(5, bidirectional, **own), layers)
    load_torch_state_dict(again, back)
    np.testing.assert_array_equal(again.params, model.params)


def test_weights_of_a_whole_model_are_loaded():
    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.GRU(3, 6, 2, batch_first=True)
            self.head = torch.nn.LSTM(6, 4, batch_first=True)
            self.out = torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.head(self.encoder(x)[0])[0][:, -1])

    theirs = Theirs().double()
    model = Sequential([GRU(6), Dropout(0.5), GRU(6), LSTM(4), LastStep(), Dense(2)], 3, "float64")
    load_torch_state_dict(model, theirs.state_dict())
    with torch.no_grad():
        expected = theirs(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-14)


def test_pytorch_modules_load_the_exported_state_dict():
    model = Sequential([LSTM(6), LastStep(), Dense(2)], 3, random_state=0)
    theirs = torch.nn.ModuleList(
        [torch.nn.LSTM(3, 6, batch_first=True), torch.nn.Identity(), torch.nn.Linear(6, 2)]
    )
    theirs.load_state_dict(to_torch_state_dict(model))
    lstm, _, linear = theirs
    with torch.no_grad():
        y = linear(lstm(torch.from_numpy(X.astype("float32")))[0][:, -1]).numpy()
    np.testing.assert_allclose(model.predict(X), y, atol=1e-6)


def test_a_state_dict_may_hold_arrays():
    module = torch.nn.LSTM(3, 5)
    model, other = stacked(LSTM(5), 1), stacked(LSTM(5), 1)
    load_torch_state_dict(model, module.state_dict())
    load_torch_state_dict(other, {k: v.numpy() for k, v in module.state_dict().items()})
    np.testing.assert_array_equal(model.params, other.params)


@pytest.mark.parametrize(
    ("model", "module", "message"),
    [
        (stacked(LSTM(5), 2), torch.nn.LSTM(3, 5), "must have 2 layers with parameters"),
        (stacked(LSTM(4), 1), torch.nn.LSTM(3, 5), r"weight_ih of state_dict must be of shape"),
        (stacked(RNN(5), 1), torch.nn.GRU(3, 5), "weight_ih of state_dict must be of shape"),
        (stacked(LSTM(5), 1), torch.nn.LSTM(3, 5, bidirectional=True), "must be absent"),
        (stacked(Dense(5), 1), torch.nn.LSTM(3, 5), "must be a linear module"),
        (stacked(LSTM(5), 1), torch.nn.Linear(3, 5), "must be a recurrent module"),
        (stacked(LSTM(5), 1), torch.nn.BatchNorm1d(3), "got 'running_mean'"),
        (stacked(PeepholeLSTM(5), 1), torch.nn.LSTM(3, 5), "layers that PyTorch has"),
        (stacked(LSTM(5, activation="relu"), 1), torch.nn.LSTM(3, 5), "that PyTorch has"),
        (stacked(LSTM(5, reverse=True), 1), torch.nn.LSTM(3, 5), "that PyTorch has"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_an_error(model, module, message):
    before = model.params.copy()
    with pytest.raises(ValueError, match=message):
        load_torch_state_dict(model, module.state_dict())
    np.testing.assert_array_equal(model.params, before)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 6, batch_first=True)
        self.out = torch.nn.Linear(6, 3)

    def forward(self, x):
        return torch.softmax(self.out(self.lstm(x)[0][:, -1]), dim=1)


@pytest.mark.parametrize("of_model", [False, True])
def test_weights_loaded_into_an_estimator_take_effect(of_model):
    clf = LSTMClassifier(6, max_iter=1, standardize=False, random_state=0).fit(X, [0, 1, 2, 0])
    theirs = Theirs()
    load_torch_state_dict(clf.model_ if of_model else clf, theirs.state_dict())
    expected = theirs(torch.from_numpy(X).float()).detach().numpy()
    np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-6)
    stream = clf.stream()
    last = [stream.step(x) for x in X[0]][-1]
    np.testing.assert_array_equal(last, clf.predict_proba(X[:1])[0])
    back = to_torch_state_dict(clf)
    np.testing.assert_array_equal(back["2.weight"], theirs.out.weight.detach())


def test_weights_trained_on_unscaled_X_and_y_are_converted():
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(3, 6, batch_first=True)
            self.out = torch.nn.Linear(6, 1)

        def forward(self, x):
            return self.out(self.lstm(x)[0][:, -1])[:, 0]

    module = Module()
    expected = module(torch.from_numpy(X).float()).detach().numpy()
    y = [10.0, 20.0, 30.0, 40.0]
    own = LSTMRegressor(6, max_iter=1, standardize=False, normalize_y=False).fit(X, y)
    load_torch_state_dict(own, module.state_dict())
    np.testing.assert_allclose(own.predict(X), expected, atol=1e-6)
    scaled = LSTMRegressor(6, max_iter=1).fit(X, y)
    module.load_state_dict(
        dict(zip(module.state_dict(), to_torch_state_dict(scaled).values(), strict=True))
    )
    standardized = torch.from_numpy((X - scaled.X_mean_) / scaled.X_scale_).float()
    normalized = module(standardized).detach().numpy()
    np.testing.assert_allclose(normalized * np.std(y) + np.mean(y), scaled.predict(X), rtol=1e-5)


def test_a_module_instead_of_its_state_dict_is_an_error():
    message = (
        r"state_dict must be a mapping of names .*; got LSTM\(3, 5\). Pass module.state_dict()"
    )
    with pytest.raises(TypeError, match=message):
        load_torch_state_dict(stacked(LSTM(5), 1), torch.nn.LSTM(3, 5))


def test_converting_an_unfitted_estimator_is_an_error():
    with pytest.raises(NotFittedError):
        load_torch_state_dict(LSTMRegressor(), {})
    with pytest.raises(TypeError, match="model must be a Sequential or a fitted estimator; got 3"):
        to_torch_state_dict(3)
