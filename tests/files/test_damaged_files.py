"""Damaged files, files of other programs and files with unknown content."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

import fusedlstm
from fusedlstm import LSTMClassifier, LSTMRegressor, Sequential
from fusedlstm.files.format import METADATA_KEY, read, write
from fusedlstm.layers import LSTM, Dense
from fusedlstm.optimizers import Adam
from saved_objects import SIGNS, TOTAL, X, quick


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small"
    Sequential([Dense(1)], 1, random_state=0).save(path)
    return path


def test_every_flipped_bit_is_detected(small):
    content = small.read_bytes()
    for i in range(len(content)):
        damaged = bytearray(content)
        damaged[i] ^= 1 << (i % 8)
        small.write_bytes(damaged)
        with pytest.raises(ValueError, match="path must name a file that save wrote; got '.*small"):
            fusedlstm.load(small)


def test_every_truncation_is_detected(small):
    content = small.read_bytes()
    for length in range(len(content)):
        small.write_bytes(content[:length])
        with pytest.raises(ValueError, match="another kind of file, cut off or damaged"):
            fusedlstm.load(small)
    small.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="another kind of file, cut off or damaged"):
        fusedlstm.load(small)


def test_files_of_other_programs_are_an_error(small):
    one = {"a": np.ones(1)}
    contents = {
        "a pickle": (pickle.dumps(print), "another kind of file"),
        "text": (b"fusedlstm" * 100, "another kind of file"),
        "safetensors": (safetensors.numpy.save({"a": np.ones(3)}), "safetensors file of another"),
        "metadata": (
            safetensors.numpy.save({"a": np.ones(3)}, {"format": "pt"}),
            "a safetensors file of another package",
        ),
        "no JSON": (safetensors.numpy.save(one, {METADATA_KEY: "{"}), "which is damaged"),
        "other JSON": (safetensors.numpy.save(one, {METADATA_KEY: "[1]"}), "which is damaged"),
        "deep JSON": (safetensors.numpy.save(one, {METADATA_KEY: "[" * 10**5}), "which is damaged"),
    }
    for content, message in contents.values():
        small.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            fusedlstm.load(small)


def test_a_file_of_a_newer_version_is_an_error(small, monkeypatch):
    monkeypatch.setattr("fusedlstm.files.format.FORMAT_VERSION", 7)
    Sequential([Dense(1)], 1).save(small)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="format 7 of a newer version of fusedlstm: this"):
        fusedlstm.load(small)


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def changed_header(change):
    """Return a function that writes an estimator with a changed header and a valid digest."""

    def write_changed(path):
        quick(LSTMClassifier, hidden_size=64, optimizer=Adam(), layers=(LSTM(3),)).fit(
            X, SIGNS
        ).save(path)
        header, arrays = read(path)
        change(header)
        write(path, header, arrays)

    return write_changed


def model_in(h):
    return h["attributes"]["model_"]["Sequential"]


UNKNOWN = {
    "class": lambda h: h.update({"class": "Sneaky"}),
    "a class that is not a string": lambda h: h.update({"class": ["LSTMClassifier"]}),
    "parameters that are not an object": lambda h: h.update(parameters=[1]),
    "attributes that are not an object": lambda h: h.update(attributes=None),
    "a parameter's type": lambda h: h["parameters"].update(hidden_size="4"),
    "a parameter's value": lambda h: h["parameters"].update(learning_rate=-1),
    "a long number": lambda h: h["parameters"].update(hidden_size=10**4000),
    "an attribute's type": lambda h: h["attributes"].update(n_iter_="2"),
    "invalid model": lambda h: h["attributes"].update(model_=3),
    "a string for curve": lambda h: h["attributes"].update(loss_curve_=["a"]),
    "an optimizer as an attribute": lambda h: h["attributes"].update(
        _schedule_state=h["parameters"]["optimizer"]
    ),
    "a field's type": lambda h: h["attributes"]["_schedule_state"]["ScheduleState"].update(
        epoch="1"
    ),
    "no attribute": lambda h: h["attributes"].pop("_multilabel"),
    "no model": lambda h: h["attributes"].pop("model_"),
    "no parameters of a model": lambda h: model_in(h).pop("params"),
    "a prefix that is not a string": lambda h: model_in(h).update(params=None),
    "invalid layers": lambda h: model_in(h).update(layers=5),
    "a layer without its size": lambda h: model_in(h)["layers"]["tuple"][0]["LSTM"].pop(
        "hidden_size"
    ),
    "a layer that is not an object": lambda h: model_in(h)["layers"]["tuple"][0].update(LSTM=[3]),
    "an empty object": lambda h: h["attributes"].update(loss_={}),
    "invalid tuple": lambda h: h["attributes"].update(loss_={"tuple": 3}),
    "invalid float": lambda h: h["attributes"].update(loss_={"float": "1e5"}),
    "a dict of no pairs": lambda h: h["attributes"].update(loss_={"dict": [[1, 2, 3]]}),
    "a dict of lists": lambda h: h["attributes"].update(loss_={"dict": [[[1], 2]]}),
    "a generator": lambda h: h["attributes"].update(loss_={"Generator": {"dict": []}}),
    "a large generator": lambda h: h["attributes"].update(
        loss_={
            "Generator": {
                "dict": [
                    ["bit_generator", "PCG64"],
                    ["state", {"dict": [["state", 10**99], ["inc", 1]]}],
                    ["has_uint32", 0],
                    ["uinteger", 0],
                ]
            }
        }
    ),
    "other sizes": lambda h: h["attributes"].update(n_features_in_=3),
    "more classes": lambda h: h["classes"].update(labels=["a", "b", "c"]),
    "classes that are lists": lambda h: h["classes"].update(labels=[["a"], ["b"]]),
    "classes that are not a list": lambda h: h["classes"].update(labels="ab"),
    "classes that do not fit": lambda h: h["classes"].update(labels=[2**70, "b"], dtype="<i8"),
    "a dtype of many": lambda h: h["classes"].update(dtype="(1000000,1000000)f8"),
    "a dtype that is not a string": lambda h: h["classes"].update(dtype=[["a", "i4"]]),
    "classes that are a number": lambda h: h.update(classes=5),
    "deep": lambda h: h["attributes"].update(loss_=nested(600)),
    "no class": lambda h: h.pop("class"),
    "parameters": lambda h: h["parameters"].update(sneaky=1),
    "a layer": lambda h: h["parameters"].update(layers={"tuple": [{"os.system": {"x": "ls"}}]}),
    "a field": lambda h: h["parameters"]["optimizer"]["Adam"].update(gamma=1),
    "a value": lambda h: h["parameters"]["optimizer"]["Adam"].update(beta1=2),
    "an attribute": lambda h: h["attributes"].update(predict=1),
    "an attribute with underscores": lambda h: h["attributes"].update(__class__=1),
    "an array": lambda h: h["attributes"].update(loss_={"array": "missing"}),
    "two kinds": lambda h: h["attributes"].update(loss_={"float": "1", "array": "x"}),
    "labels": lambda h: h["classes"].update(dtype="M8[s]"),
    "a dtype": lambda h: h["classes"].update(dtype="no dtype"),
    "sizes": lambda h: h["attributes"]["model_"]["Sequential"].update(input_size=3),
    "huge sizes": lambda h: h["attributes"]["model_"]["Sequential"].update(input_size=10**30),
    "fewer layers": lambda h: h["attributes"]["model_"]["Sequential"]["layers"]["tuple"].pop(),
    "another prefix": lambda h: h["attributes"]["model_"]["Sequential"].update(params="x."),
}


@pytest.mark.parametrize("change", UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_content_is_an_error(change, tmp_path):
    changed_header(change)(tmp_path / "file")
    with pytest.raises(
        ValueError, match="whose content this version of fusedlstm cannot read"
    ) as e:
        fusedlstm.load(tmp_path / "file")
    assert isinstance(e.value.__cause__, (ValueError, TypeError, RecursionError))
    reason = str(e.value).split("cannot read (")[1]
    assert re.search(r"\bmust\b|maximum recursion", reason)
    assert len(reason) < 800


def test_a_missing_parameter_gets_its_default(tmp_path):
    changed_header(lambda h: h["parameters"].pop("verbose"))(tmp_path / "file")
    assert fusedlstm.load(tmp_path / "file").verbose == 0


LATER = ("X_mean_", "X_scale_", "best_iter_", "loss_", "validation_loss_curve_", "_schedule_state")


def test_missing_attributes_get_their_defaults(tmp_path):
    def drop(header):
        for name in LATER:
            del header["attributes"][name]

    changed_header(drop)(tmp_path / "file")
    model = fusedlstm.load(tmp_path / "file")
    assert model.best_iter_ == model.n_iter_ == 2
    assert model.loss_ == model.loss_curve_[-1]
    assert model.validation_loss_curve_ == []
    assert model.X_mean_ is model.X_scale_ is None
    model.set_params(warm_start=True, schedule="cosine").fit(X, SIGNS)
    assert model.n_iter_ == 4


def test_loading_executes_no_code(tmp_path):
    # The audit events of everything that can execute code from a file.
    quick(LSTMRegressor).fit(X, TOTAL).save(tmp_path / "file")
    script = """if True:
        import sys
        import fusedlstm, fusedlstm.estimators
        events = []
        sys.addaudithook(lambda event, args: events.append((event, args)))
        fusedlstm.load("file")
        code = {"exec", "compile", "import", "marshal.loads", "pickle.find_class", "os.system"}
        print([args for event, args in events if event in code])
    """
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert ran.stdout.strip() == "[]"


def test_class_names_in_a_file_import_nothing(small, tmp_path):
    names = ["this", "fusedlstm.plotting", "this.Model"]
    for i, name in enumerate(names):
        header, arrays = read(small)
        write(tmp_path / f"class{i}", {**header, "class": name}, arrays)
        header["parameters"].update(layers={name: {}})
        write(tmp_path / f"layer{i}", header, arrays)
    script = f"""if True:
        import sys
        import fusedlstm.files.saving, fusedlstm.estimators
        before = set(sys.modules)
        for i in range({len(names)}):
            for kind in ("class", "layer"):
                try:
                    fusedlstm.load(f"{{kind}}{{i}}")
                except ValueError as error:
                    print(set(sys.modules) - before)
    """
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert ran.stdout.split("\n") == ["set()"] * 2 * len(names) + [""]
