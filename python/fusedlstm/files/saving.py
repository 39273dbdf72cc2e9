"""Save models, estimators, transformers and pipelines of them in files, and load them.

Loading calls only constructors of the classes that `fusedlstm.files.classes` lists. It runs no code
from the file and imports no module that the file names.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, Protocol

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.files.attributes import checked_attributes
from fusedlstm.files.classes import ESTIMATORS, MODELS, class_of, is_listed
from fusedlstm.files.encoding import (
    Decoder,
    check_type,
    encode,
    encode_labels,
    encode_model,
    encode_parameter,
    fields_of,
    of_object,
)
from fusedlstm.files.format import FileName, checked, read, refused, write
from fusedlstm.files.replacement import remove_unfinished


class FittedEstimator(Protocol):
    """Methods and attributes of the estimators and transformers in files."""

    _saved_attributes: ClassVar[tuple[str, ...]]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the constructor."""

    def _check_params(self) -> None:
        """Check every parameter."""

    def _n_outputs(self) -> int:
        """Return the number of the model's outputs, if there is a model."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the fitted attributes."""


class Savable:
    """Base class of estimators and transformers that can be saved."""

    _saved_attributes: ClassVar[tuple[str, ...]]
    """Fitted attributes that are saved. `fusedlstm.files.attributes` lists their types."""

    def save(self, path: FileName) -> None:
        """Write the parameters and the fitted attributes into a file, for `fusedlstm.load`.

        Parameters
        ----------
        path : str or path
            An existing file is replaced after the new file is complete. Its permissions are kept.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            The object is not fitted.
        TypeError
            A parameter or an attribute cannot be saved: a function, a random generator, a layer or
            optimizer of another package, class labels other than str, int, float and bool.
        ValueError
            ``path`` is a special file, or the file system cannot represent it.
        OSError
            The file cannot be written. An existing file is not changed.

        Notes
        -----
        The file is a safetensors file. It contains arrays, and a text with their names and the
        parameters. Loading runs no code from the file. Equal models give equal bytes.

        Examples
        --------
        >>> import tempfile, fusedlstm, numpy as np
        >>> from fusedlstm import LSTMRegressor
        >>> X = np.random.default_rng(0).standard_normal((30, 5, 2))
        >>> model = LSTMRegressor(4, max_iter=1).fit(X, X.mean(axis=(1, 2)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(folder + "/model.safetensors")
        ...     same = fusedlstm.load(folder + "/model.safetensors")
        >>> bool((same.predict(X) == model.predict(X)).all())
        True
        """
        save(self, path)


def save(estimator: Any, path: FileName) -> None:
    """Write a model, an estimator, a transformer or a pipeline of them into a file.

    Parameters
    ----------
    estimator : Sequential, estimator, transformer or Pipeline
        A fitted estimator or transformer of this package, a model of layers, or a
        `sklearn.pipeline.Pipeline` with steps of this package, None or ``"passthrough"``.
    path : str or path
        An existing file is replaced after the new file is complete. Its permissions are kept.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        An estimator or a step is not fitted.
    TypeError
        The object, a step or a parameter is of a class that cannot be saved, or a pipeline has
        ``memory`` or ``transform_input``.
    ValueError
        ``path`` is a special file, or the file system cannot represent it.
    OSError
        The file cannot be written. An existing file is not changed.

    See Also
    --------
    load : Read the file.

    Notes
    -----
    The file is a safetensors file. It contains arrays, and a text with their names and the
    parameters. The names and the order of the steps of a pipeline are kept.

    Examples
    --------
    >>> import tempfile, fusedlstm, numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from fusedlstm import LSTMRegressor, SequenceScaler
    >>> X = np.random.default_rng(0).standard_normal((30, 5, 2))
    >>> model = make_pipeline(SequenceScaler(), LSTMRegressor(4, max_iter=1))
    >>> model = model.fit(X, X.mean(axis=(1, 2)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fusedlstm.save(model, folder + "/model.safetensors")
    ...     same = fusedlstm.load(folder + "/model.safetensors")
    >>> bool((same.predict(X) == model.predict(X)).all())
    True
    """
    arrays: dict[str, Array] = {}
    if is_listed(estimator, MODELS):
        header = {
            "class": type(estimator).__name__,
            "parameters": encode_model(estimator, "", arrays),
            "dtype": estimator.dtype.name,
        }
    elif is_listed(estimator, ESTIMATORS):
        header = _encode_estimator(estimator, arrays)
    elif _is_pipeline(estimator):
        header = _encode_pipeline(estimator, arrays)
    else:
        needed = "one of these classes to be saved: "
        needed += ", ".join((*MODELS, *ESTIMATORS)) + ", or a Pipeline of their objects"
        raise TypeError(check.needs("type", needed, type(estimator)))
    remove_unfinished(checked(path))
    write(path, header, arrays)


def load(path: FileName) -> Any:
    """Read a file that `save` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Sequential, estimator, transformer or Pipeline
        An equal object. Its predictions are the same, bit for bit.

    Raises
    ------
    OSError
        The file does not exist or cannot be read.
    ValueError
        The file is cut off or damaged, has another format, or was written by a newer version.
    MemoryError
        There is not enough memory for the arrays.

    See Also
    --------
    save : Write the file.

    Notes
    -----
    Loading runs no code from the file. A file that differs from the written file in one bit raises
    an error.

    Examples
    --------
    >>> import tempfile, fusedlstm
    >>> from fusedlstm.layers import LSTM, Dense
    >>> model = fusedlstm.Sequential([LSTM(4), Dense(1)], input_size=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(folder + "/model.safetensors")
    ...     same = fusedlstm.load(folder + "/model.safetensors")
    >>> bool((same.params == model.params).all())
    True
    """
    header, arrays = read(path)
    if header.get("class") == "Checkpoint":
        what = "which is a checkpoint: pass the path to fit as checkpoint, with the same data"
        raise refused(path, what)
    try:
        return _decode_whole(header, arrays)
    except MemoryError:
        raise
    except Exception as error:  # a file from an untrusted source may cause any error
        what = f"whose content this version of fusedlstm cannot read ({error})"
        raise refused(path, what) from error


def _is_pipeline(estimator: Any) -> bool:
    from sklearn.pipeline import Pipeline

    return type(estimator) is Pipeline


def _encode_estimator(estimator: FittedEstimator, arrays: dict[str, Array]) -> dict[str, Any]:
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator)
    values = vars(estimator)
    attributes = {name: values[name] for name in estimator._saved_attributes if name in values}
    classes = attributes.pop("classes_", None)
    header = {
        "class": type(estimator).__name__,
        "parameters": {
            name: encode_parameter(value, name, arrays)
            for name, value in estimator.get_params(deep=False).items()
        },
        "classes": None if classes is None else encode_labels(classes, "classes_"),
        "attributes": {name: encode(value, name, arrays) for name, value in attributes.items()},
    }
    if "model_" in attributes:
        header["dtype"] = attributes["model_"].dtype.name
    estimator._check_params()  # `load` checks the parameters, so they must be valid
    return header


def _encode_pipeline(pipeline: Any, arrays: dict[str, Array]) -> dict[str, Any]:
    if pipeline.memory is not None:
        raise TypeError(check.needs("memory", "None for a pipeline to be saved", pipeline.memory))
    if getattr(pipeline, "transform_input", None) is not None:
        needed = "None for a pipeline to be saved"
        raise TypeError(check.needs("transform_input", needed, pipeline.transform_input))
    content: dict[str, Any] | str | None
    steps = []
    for number, (name, step) in enumerate(pipeline.steps):
        own: dict[str, Array] = {}
        if step is None or (isinstance(step, str) and step == "passthrough"):
            content = step
        elif is_listed(step, ESTIMATORS):
            content = _encode_estimator(step, own)
        else:
            needed = "of a class of fusedlstm, None or 'passthrough' for a pipeline to be saved"
            raise TypeError(check.needs(f"step {name!r}", needed, type(step)))
        steps.append({"name": name, "step": content})
        arrays.update({f"{number}.{key}": array for key, array in own.items()})
    return {"class": "Pipeline", "steps": steps, "verbose": bool(pipeline.verbose)}


def _decode_whole(header: dict[str, Any], arrays: dict[str, Array]) -> Any:
    kind = header.get("class")
    if isinstance(kind, str) and kind in MODELS:
        return Decoder(arrays).model(header.get("parameters"), kind)
    if kind == "Pipeline":
        return _decode_pipeline(header, arrays)
    return _decode_estimator(header, arrays)


def _decode_estimator(content: Any, arrays: dict[str, Array]) -> Any:
    content = of_object(content)
    name = check.choice("class", content.get("class"), ESTIMATORS)
    kind, decoder = class_of(name), Decoder(arrays)
    names = sorted(inspect.signature(kind).parameters)
    parameters = {
        check.choice("parameter", key, names): decoder.decode(value)
        for key, value in of_object(content.get("parameters")).items()
    }
    if "standardize" in names:  # missing in files of earlier versions
        parameters.setdefault("standardize", False)
    estimator: FittedEstimator = kind(**parameters)
    estimator._check_params()
    attributes = {
        check.choice("attribute", key, kind._saved_attributes): decoder.decode(value)
        for key, value in of_object(content.get("attributes")).items()
    }
    if content.get("classes") is not None:
        attributes["classes_"] = decoder.decode(content["classes"])
    attributes = checked_attributes(name, attributes)
    estimator.__setstate__(attributes)
    if "model_" in attributes and attributes["model_"].output_size != estimator._n_outputs():
        needed = f"of {estimator._n_outputs()} outputs"
        raise ValueError(check.needs("model_", needed, attributes["model_"].output_size))
    return estimator


def _decode_pipeline(header: dict[str, Any], arrays: dict[str, Array]) -> Any:
    from sklearn.pipeline import Pipeline

    steps = header.get("steps")
    if type(steps) is not list or not steps:
        raise ValueError(check.needs("steps", "a list of steps", steps))
    of_step: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        place, _, own = name.partition(".")
        of_step.setdefault(place, {})[own] = array
    decoded = []
    for number, step in enumerate(steps):
        parts = fields_of("a step", step, "name", "step")
        check_type("name", parts["name"], str)
        value = parts["step"]
        if value is not None and value != "passthrough":
            value = _decode_estimator(value, of_step.get(str(number), {}))
        decoded.append((parts["name"], value))
    check_type("verbose", header.get("verbose"), bool)
    pipeline = Pipeline(decoded, verbose=header["verbose"])
    _check_steps(pipeline)
    return pipeline


def _check_steps(pipeline: Any) -> None:
    """Raise an error for steps that raise an error in `fit` of scikit-learn."""
    names = [name for name, _ in pipeline.steps]
    taken = {*names} & {*pipeline.get_params(deep=False)}
    if len({*names}) < len(names) or taken or any("__" in name for name in names):
        needed = "unique, without '__', and different from parameters of Pipeline"
        raise ValueError(check.needs("the names of steps", needed, names))
    for name, step in pipeline.steps[:-1]:
        if is_listed(step, ESTIMATORS) and not hasattr(step, "transform"):
            raise TypeError(check.needs(f"step {name!r}", "a transformer", type(step)))
