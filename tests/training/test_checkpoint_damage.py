"""Checkpoints with wrong content are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fusedlstm
from checkpoint_problems import TOTAL, X, quick
from fusedlstm.files import format as _files
from fusedlstm.optimizers import Adam

pytestmark = pytest.mark.usefixtures("one_thread")


# Files of strangers


def changed(change, path, **options):
    quick(**options).fit(X, TOTAL, checkpoint=path)
    header, arrays = _files.read(path)
    arrays["five"] = np.zeros(5, "float32")
    arrays["doubles"] = arrays["params"].astype(np.float64)
    change(header)
    used = json.dumps(header)
    arrays = {name: array for name, array in arrays.items() if f'"{name}"' in used}
    _files.write(path, header, arrays)


INVALID = {
    "no content": lambda h: h.pop("content"),
    "no problem": lambda h: h.pop("problem"),
    "content that is not an object": lambda h: h.update(content=[1]),
    "no params": lambda h: h["content"].pop("params"),
    "params that are no array": lambda h: h["content"].update(params=[1.0]),
    "a missing array": lambda h: h["content"].update(params={"array": "missing"}),
    "invalid state": lambda h: h["content"].update(state=3),
    "a string for curve": lambda h: h["content"].update(loss_curve=["a"]),
    "a string for epochs": lambda h: h["content"]["state"]["FitState"].update(epochs="1"),
    "epochs beyond 64 bits": lambda h: h["content"]["state"]["FitState"].update(epochs=10**400),
    "no watch": lambda h: h["content"]["state"]["FitState"].pop("watch"),
    "another field": lambda h: h["content"]["state"]["FitState"].update(more=1),
    "best weights of another size": lambda h: h["content"]["state"]["FitState"]["watch"][
        "Watch"
    ].update(best_params={"array": "other"}),
    "averages of nothing": lambda h: h["content"]["state"]["FitState"]["progress"]["Progress"][
        "state"
    ]["OptimizerState"].update(averages={"dict": []}),
    "invalid averages": lambda h: h["content"]["state"]["FitState"]["progress"]["Progress"][
        "state"
    ]["OptimizerState"].update(averages=None),
}


def in_state(*names):
    """Return a function that finds an object in the state of a fit by the path of its fields."""

    def find(header):
        found = header["content"]["state"]["FitState"]
        for name in names:
            ((_, found),) = found[name].items()
        return found

    return find


def five_averages(header):
    """Give parameters, best weights and averages the same wrong size."""
    header["content"].update(params={"array": "five"})
    state = in_state("progress", "state")(header)
    state["averages"] = {"dict": [[name, {"array": "five"}] for name in Adam().averages()]}


INVALID |= {
    "parameters of another size": lambda h: h["content"].update(params={"array": "five"}),
    "parameters of another dtype": lambda h: h["content"].update(params={"array": "doubles"}),
    "everything of another size": five_averages,
    "a negative seed": lambda h: in_state()(h).update(seed=-1),
    "a large seed": lambda h: in_state()(h).update(seed=2**40),
    "negative epochs": lambda h: in_state()(h).update(epochs=-1),
    "more epochs than losses": lambda h: in_state()(h).update(epochs=4),
    "invalid best epoch": lambda h: in_state("watch")(h).update(best_iter=4),
    "a longer validation curve": lambda h: h["content"].update(validation_loss_curve=[1.0] * 4),
    "negative steps": lambda h: in_state("progress", "state")(h).update(t=-1),
    "a negative epoch": lambda h: in_state("progress", "schedule")(h).update(epoch=-1),
    "another optimizer": lambda h: in_state("progress")(h).update(optimizer={"LBFGS": {}}),
    "other numbers of an optimizer": lambda h: in_state("progress", "optimizer")(h).update(
        beta1=0.5
    ),
}

OF_LBFGS = {
    "no steps": {"dict": [["changes", {"array": "none"}]]},
    "no averages": {"dict": []},
    "steps of another size": {
        "dict": [["steps", {"array": "five"}], ["changes", {"array": "five"}]]
    },
    "flat steps": {"dict": [["steps", {"array": "doubles"}], ["changes", {"array": "doubles"}]]},
}


@pytest.mark.parametrize("averages", OF_LBFGS.values(), ids=OF_LBFGS)
def test_invalid_states_of_lbfgs_are_an_error(averages, tmp_path):
    def change(header):
        in_state("progress", "state")(header).update(averages=averages)

    changed(change, tmp_path / "fit", optimizer="lbfgs")
    with pytest.raises(ValueError, match=r"^checkpoint must be the name .*cannot read \(.* must "):
        quick(optimizer="lbfgs", max_iter=5).fit(X, TOTAL, checkpoint=tmp_path / "fit")


@pytest.mark.parametrize("change", INVALID.values(), ids=INVALID)
def test_invalid_checkpoints_are_an_error(change, tmp_path):
    changed(change, tmp_path / "fit")
    model = quick(max_iter=5)
    with pytest.raises(ValueError, match=r"^checkpoint must be the name .*cannot read \(.* must "):
        model.fit(X, TOTAL, checkpoint=tmp_path / "fit")
    assert not hasattr(model, "model_")


def test_load_of_a_checkpoint_is_an_error(tmp_path):
    quick().fit(X, TOTAL, checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match="which is a checkpoint: pass the path to fit as"):
        fusedlstm.load(tmp_path / "fit")
