"""The file format: other readers and writers, earlier versions, pipelines."""

from __future__ import annotations

import json
import os
import typing
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import fusedlstm
from fusedlstm import LSTMClassifier, LSTMRegressor, PadSequences, SequenceImputer, SequenceScaler
from fusedlstm.estimators.fitting.checkpoints import FIELDS as CHECKPOINT_FIELDS
from fusedlstm.estimators.fitting.checkpoints import Checkpoint
from fusedlstm.files.attributes import ATTRIBUTES, REQUIRED
from fusedlstm.files.classes import ESTIMATORS, FIELDS
from fusedlstm.files.format import DTYPES, MAX_HEADER_BYTES, METADATA_KEY, _digest, read, write

X = np.random.default_rng(0).standard_normal((30, 5, 2))
TOTAL = X.sum(axis=(1, 2))
SIGNS = np.where(TOTAL > 0, "plus", "minus")
SMALL = {"hidden_size": 4, "max_iter": 2, "random_state": 0}

pytestmark = pytest.mark.usefixtures("one_thread")


@st.composite
def drawn_arrays(draw):
    """Draw an array of any dtype, byte order, shape and strides."""
    dtype = draw(st.sampled_from(list(DTYPES.values())))
    if draw(st.booleans()):
        dtype = dtype.newbyteorder(">")
    array = draw(arrays(dtype, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
    if array.ndim and draw(st.booleans()):
        array = array[(slice(None, None, draw(st.sampled_from([1, -1, 2]))),)]
    if draw(st.booleans()):
        array = array.T
    return array


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(named=st.dictionaries(TEXT, drawn_arrays()), text=st.text())
def test_safetensors_reads_our_files(tmp_path_factory, named, text):
    named.pop("__metadata__", None)
    named.pop("no arrays", None)
    path = tmp_path_factory.mktemp("files") / "file"
    write(path, {"class": text}, named)
    theirs = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "numpy") as file:
        assert json.loads(file.metadata()[METADATA_KEY])["class"] == text
        one_by_one = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header, ours = read(path)
    assert header["class"] == text
    if not named:
        for each in (theirs, one_by_one):
            assert each.pop("no arrays").tolist() == [0]
    for each in (theirs, one_by_one, ours):
        assert each.keys() == named.keys()
        for name, array in named.items():
            assert each[name].shape == array.shape
            assert each[name].dtype == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(each[name], array)
            assert each[name].flags.aligned


@given(named=st.dictionaries(TEXT, drawn_arrays(), min_size=1))
def test_files_written_by_safetensors_are_read(tmp_path_factory, named):
    named.pop("__metadata__", None)
    named = {n: np.asarray(a, a.dtype.newbyteorder("="), order="C") for n, a in named.items()}
    named["an"] = np.ones(1)
    path = tmp_path_factory.mktemp("files") / "file"
    header = {"class": "Sequential", "format_version": 1}
    header["sha256"] = _digest(header, named)
    safetensors.numpy.save_file(named, path, {METADATA_KEY: json.dumps(header)})
    _, ours = read(path)
    named.pop("no arrays", None)
    assert ours.keys() == named.keys()
    for name, array in named.items():
        assert ours[name].dtype == array.dtype
        np.testing.assert_array_equal(ours[name], array)
        assert ours[name].flags.writeable


def test_files_have_the_layout_of_safetensors(tmp_path):
    write(tmp_path / "file", {"class": "a"}, {"x": np.ones(3, "u1"), "y": np.ones(2, ">f8")})
    content = (tmp_path / "file").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    layout = json.loads(content[8 : 8 + length])
    assert layout["y"] == {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}
    assert layout["x"] == {"dtype": "U8", "shape": [3], "data_offsets": [16, 19]}
    assert content[8 + length :] == np.ones(2, "<f8").tobytes() + b"\1\1\1"


def test_memory_maps_can_be_saved(tmp_path):
    np.arange(12.0).tofile(tmp_path / "numbers")
    mapped = np.memmap(tmp_path / "numbers", "f8", "r", shape=(3, 4))
    write(tmp_path / "file", {}, {"x": mapped, "turned": mapped.T})
    _, arrays = read(tmp_path / "file")
    np.testing.assert_array_equal(arrays["x"], mapped)
    np.testing.assert_array_equal(arrays["turned"], mapped.T)


def test_writing_a_header_that_is_too_long_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="the header of path must have at most 100000000 bytes"):
        write(tmp_path / "file", {"class": "a" * MAX_HEADER_BYTES}, {})
    assert not list(tmp_path.iterdir())


def with_layout(layout, data=b""):
    text = layout if isinstance(layout, bytes) else json.dumps(layout).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype="U8", shape=(2,), place=(0, 2)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(place)}


LAYOUTS = {
    "nothing": b"",
    "a short length": b"\1\0\0",
    "a length beyond the end": (1000).to_bytes(8, "little") + b"{}",
    "an absurd length": b"\xff" * 8 + b"{}",
    "invalid JSON": with_layout(b"{"),
    "invalid UTF-8": with_layout(b'{"\xff": 1}'),
    "a list": with_layout([]),
    "deep": with_layout(b"[" * 10**5),
    "a long number": with_layout(b'{"a": ' + b"9" * 10**4 + b"}"),
    "metadata that are not an object": with_layout({"__metadata__": "a"}),
    "metadata that are not strings": with_layout({"__metadata__": {METADATA_KEY: 3}}),
    "an array that is not an object": with_layout({"a": 3}, b"ab"),
    "a field too many": with_layout({"a": {**entry(), "more": 1}}, b"ab"),
    "an unknown dtype": with_layout({"a": entry("C64")}, b"ab"),
    "a dtype that is a list": with_layout({"a": entry(["U8"])}, b"ab"),
    "a negative shape": with_layout({"a": entry(shape=(-2, -1))}, b"ab"),
    "a shape of floats": with_layout({"a": entry(shape=(2.0,))}, b"ab"),
    "a shape of bools": with_layout({"a": entry(shape=(True, 2))}, b"ab"),
    "too many axes": with_layout({"a": entry(shape=(1,) * 40 + (2,))}, b"ab"),
    "a huge shape of nothing": with_layout({"a": entry(shape=(0, 2**62, 2**62), place=(0, 0))}),
    "a huge shape": with_layout({"a": entry(shape=(2**62,))}, b"ab"),
    "three places": with_layout({"a": entry(place=(0, 1, 2))}, b"ab"),
    "a decreasing place": with_layout({"a": entry(place=(2, 0))}, b"ab"),
    "a gap": with_layout({"a": entry(place=(1, 3))}, b"abc"),
    "two in one place": with_layout({"a": entry(), "b": entry()}, b"ab"),
    "too few bytes": with_layout({"a": entry()}, b"a"),
    "too many bytes": with_layout({"a": entry()}, b"abc"),
    "a bool of 2": with_layout({"a": entry("BOOL")}, b"\1\2"),
}


@pytest.mark.parametrize("content", LAYOUTS.values(), ids=LAYOUTS)
def test_a_wrong_layout_is_an_error(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match="which is another kind of file, cut off or damaged"):
        fusedlstm.load(tmp_path / "file")


# Earlier versions.

DATA = Path(__file__).parent / "saved"
SAVED_X = np.arange(24, dtype=float).reshape(4, 3, 2) % 7 / 7 - 0.4


def loaded(name):
    return fusedlstm.load(DATA / f"saved_{name}.safetensors")


def test_a_model_saved_by_version_0_1_is_loaded():
    expected = [[-0.0146832], [0.1104851], [-0.0277605], [0.067441]]
    np.testing.assert_allclose(loaded("model").predict(SAVED_X), expected, atol=1e-6)


def test_a_classifier_saved_by_version_0_1_is_loaded():
    model = loaded("classifier")
    assert model.classes_.tolist() == ["a", "b", "ccc"]
    expected = [
        [0.3456386, 0.321591, 0.3327703],
        [0.3495915, 0.3251062, 0.3253023],
        [0.3608272, 0.322823, 0.3163499],
        [0.3549291, 0.3266838, 0.3183871],
    ]
    np.testing.assert_allclose(model.predict_proba(SAVED_X), expected, atol=1e-6)


def test_a_regressor_saved_by_version_0_1_continues_training():
    model = loaded("regressor")
    expected = [
        [-0.0562047, 0.0492297],
        [-0.0508416, 0.0562235],
        [-0.0413485, 0.0665248],
        [-0.0438045, 0.0648519],
    ]
    np.testing.assert_allclose(model.predict(SAVED_X), expected, atol=1e-6)
    model.partial_fit(SAVED_X, SAVED_X.sum(axis=(1, 2)))
    expected = [
        [-0.0610066, 0.0431602],
        [-0.0547305, 0.0511103],
        [-0.0450725, 0.0616886],
        [-0.0467777, 0.0608411],
    ]
    np.testing.assert_allclose(model.predict(SAVED_X), expected, atol=1e-6)


def test_a_scaler_saved_by_version_0_1_is_loaded():
    expected = [[-1.3654729, -0.8638684], [-0.4016097, 0.1727737], [0.5622535, 1.2094158]]
    np.testing.assert_allclose(loaded("scaler").transform(SAVED_X)[0], expected, atol=1e-6)


# Types of fields.


def test_the_types_of_fields_are_those_of_the_classes():
    for kind, types in {**FIELDS, Checkpoint: CHECKPOINT_FIELDS}.items():
        assert types == typing.get_type_hints(kind)


def test_every_attribute_in_a_file_has_a_type():
    for name in ESTIMATORS:
        saved = set(getattr(fusedlstm, name)._saved_attributes)
        assert saved <= ATTRIBUTES.keys()
        assert set(REQUIRED[name]) <= saved


# Pipelines.


def pipelines():
    scaler = SequenceScaler
    ragged = [x[: 1 + i % 5] for i, x in enumerate(X)]
    return {
        "scaler and classifier": (make_pipeline(scaler(), LSTMClassifier(**SMALL)), X, SIGNS),
        "three transformers": (
            Pipeline(
                [
                    ("fill in", SequenceImputer()),
                    ("scale", SequenceScaler()),
                    ("pad", PadSequences(width=7)),
                    ("regress", LSTMRegressor(**SMALL)),
                ],
                verbose=False,
            ),
            ragged,
            TOTAL,
        ),
        "no steps": (Pipeline([("a", "passthrough"), ("b", None), ("c", scaler())]), X, None),
        "an end that passes": (Pipeline([("s", SequenceScaler()), ("e", "passthrough")]), X, None),
        "2-D": (make_pipeline(SequenceScaler(), LSTMRegressor(**SMALL)), X[:, :, 0], TOTAL),
        "twelve scalers": (
            Pipeline([(f"s{i}", SequenceScaler()) for i in range(12)]), 3 * X + 1, None
        ),
    }  # fmt: skip


def answers(pipeline, X):
    use = getattr(pipeline, "predict", None) or pipeline.transform
    return np.asarray(use(X)).tobytes()


@pytest.mark.parametrize("name", pipelines())
def test_a_pipeline_survives_a_round_trip(name, tmp_path):
    pipeline, data, y = pipelines()[name]
    pipeline.fit(data, y)
    fusedlstm.save(pipeline, tmp_path / "file")
    same = fusedlstm.load(tmp_path / "file")
    assert type(same) is Pipeline
    assert [name for name, _ in same.steps] == [name for name, _ in pipeline.steps]
    assert [type(step) for _, step in same.steps] == [type(step) for _, step in pipeline.steps]
    assert (same.memory, same.verbose) == (None, False)
    assert answers(same, data) == answers(pipeline, data)
    fusedlstm.save(same, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "file").read_bytes()
    assert safetensors.numpy.load_file(tmp_path / "file")


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (
            Pipeline([("flat", StandardScaler()), ("s", SequenceScaler())]),
            "step 'flat' must be of a class of fusedlstm, None or 'passthrough' for a pipeline to "
            "be saved; got <class 'sklearn.preprocessing._data.StandardScaler'>",
        ),
        (
            make_pipeline(make_pipeline(SequenceScaler())),
            "step 'pipeline' must be of a class",
        ),
        (Pipeline([("s", SequenceScaler())], memory="cache"), "memory must be None for a pipeline"),
        (
            Pipeline([("s", SequenceScaler()), ("c", LSTMClassifier(random_state=np.random))]),
            "random_state must be an integer or None to be saved",
        ),
    ],
)
def test_saving_a_pipeline_with_other_steps_is_an_error(pipeline, message, tmp_path):
    for _, step in pipeline.steps:
        if isinstance(step, (SequenceScaler, LSTMClassifier)):
            step.set_params(**{} if isinstance(step, SequenceScaler) else {"max_iter": 1})
            step.fit(X, SIGNS)
    with pytest.raises(TypeError) as raised:
        fusedlstm.save(pipeline, tmp_path / "file")
    assert message in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_saving_an_unfitted_pipeline_is_an_error(tmp_path):
    with pytest.raises(Exception, match="not fitted") as raised:
        fusedlstm.save(make_pipeline(SequenceScaler(), LSTMClassifier()), tmp_path / "file")
    assert type(raised.value).__name__ == "NotFittedError"
    with pytest.raises(TypeError, match="or a Pipeline of their objects; got <class 'int'>"):
        fusedlstm.save(3, tmp_path / "file")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(steps=[]),
        lambda h: h.update(steps={"a": 1}),
        lambda h: h.update(verbose="yes"),
        lambda h: h["steps"].append(h["steps"][0]),
        lambda h: h["steps"][0].update(name=3),
        lambda h: h["steps"][0].update(name="a__b"),
        lambda h: h["steps"][0].update(more=3),
        lambda h: h["steps"][0].update(step=3),
        lambda h: h["steps"][0].update(step={"class": "Pipeline", "steps": [], "verbose": False}),
        lambda h: h["steps"][0]["step"].update({"class": "Pipeline"}),
        lambda h: h["steps"].reverse(),
    ],
)
def test_unknown_content_of_a_pipeline_is_an_error(change, tmp_path):
    pipeline = make_pipeline(SequenceScaler(), LSTMRegressor(**SMALL)).fit(X, TOTAL)
    fusedlstm.save(pipeline, tmp_path / "file")
    header, arrays = read(tmp_path / "file")
    change(header)
    write(tmp_path / "file", header, arrays)
    with pytest.raises(ValueError, match="cannot read"):
        fusedlstm.load(tmp_path / "file")


# Paths that are not regular files.


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_path_that_is_not_a_regular_file_is_an_error(kind, tmp_path):
    place = tmp_path / "place"
    if kind == "fifo":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="path must name a file .*which is not a regular file"):
        fusedlstm.load(place)
    with pytest.raises(ValueError, match="checkpoint must be the name of a new file .*not a reg"):
        LSTMRegressor(**SMALL).fit(X, TOTAL, checkpoint=place)
    with pytest.raises(ValueError, match="path must be a new file or a regular file; got '"):
        SequenceScaler().fit(X).save(place)
    assert not place.is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_a_folder_as_checkpoint_is_an_error(tmp_path):
    with pytest.raises(IsADirectoryError):
        LSTMRegressor(**SMALL).fit(X, TOTAL, checkpoint=tmp_path)
    assert not list(tmp_path.iterdir())
