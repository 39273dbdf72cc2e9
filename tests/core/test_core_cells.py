"""The recurrent kernels of each variant agree with the NumPy equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference_cells as cells
from conftest import VARIANTS
from recurrent_problems import (
    FORWARD,
    GATES,
    GRADIENT_OF,
    GRADIENT_OF_FLOAT32,
    LAYER_NORM_AMPLIFIES,
    OTHERS,
    SPECS,
    RecurrentProblem,
    assert_forward_right,
    assert_gradients_right,
    regularizers_for,
)
from reference import numeric_gradient, relative_error


def test_every_cell_has_a_specification(core):
    assert {core.Cell(spec).name for spec in SPECS.values()} == set(core.cells())


@st.composite
def specs(draw):
    family = draw(st.sampled_from(["lstm", "lstm", "lstm", "gru", "rnn"]))
    gate, candidate, output = (draw(st.sampled_from(s)) for s in (GATES, OTHERS, OTHERS))
    flag = st.booleans()
    if family == "rnn":
        return cells.rnn_spec(*candidate)
    if family == "gru":
        return cells.gru_spec(activations=(gate, candidate), reset_after=draw(flag))
    full = draw(st.sampled_from([False, False, True]))
    projection = draw(st.sampled_from([0, 1, 5, 17]))
    coupled = False if full else draw(flag)
    return cells.lstm_spec(
        activations=(gate, candidate, output),
        peepholes=draw(flag),
        coupled=coupled,
        input_gate=full or draw(flag),
        forget_gate=full or coupled or draw(flag),
        output_gate=full or draw(flag),
        full_gate_recurrence=full,
        layer_norm=draw(flag),
        cell_clip=draw(st.sampled_from([None, 0.4, 3.0])),
        projection=projection,
        projection_bias=projection > 0 and draw(flag),
    )


@st.composite
def problems(draw, dtype, most_hidden, most_steps):
    spec = draw(st.one_of(specs(), st.sampled_from(list(SPECS.values()))))
    directions = draw(st.sampled_from([1, 2]))
    rates = [draw(st.sampled_from([0.0, 0.3])) for _ in range(4)]
    key = draw(st.one_of(st.none(), st.integers(0, 2**63 - 1)))
    return RecurrentProblem.random(
        spec,
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(1, 9)),
        draw(st.integers(1, most_steps)),
        draw(st.integers(1, 20)),
        draw(st.integers(1, most_hidden)),
        dtype,
        draw(st.booleans()),
        directions=directions,
        reverse=directions == 1 and draw(st.booleans()),
        regularizers=draw(st.sampled_from([None, regularizers_for(spec, (key, *rates))])),
    )


variants = st.sampled_from(list(VARIANTS))


threads_to_use = st.integers(1, 4)


@given(problem=problems("float64", 40, 12), threads=threads_to_use, variant=variants)
def test_outputs_agree_with_the_equations(problem, threads, variant):
    assert_forward_right(problem, VARIANTS[variant], threads)


@given(problem=problems("float64", 24, 6), threads=threads_to_use, variant=variants)
def test_gradients_agree_with_central_differences(problem, threads, variant):
    assert_gradients_right(problem, VARIANTS[variant], threads, directions=1)


def effect_of_rounding(problem, core, expected):
    """Return the relative change of each result if the inputs change by a rounding of float32.

    Layer normalization divides by the deviation of the units, which clipping can make tiny: then
    no float32 computation is accurate.
    """
    rng = np.random.default_rng(0)
    changed = {}
    for name in ("params", "x", "h", "c", "gates"):
        values = getattr(problem, name)
        if values is not None:
            changed[name] = values * (1 + rng.uniform(-1, 1, values.shape) * 2.0**-23)
    results = replace(problem, **changed).run(core)
    return {name: relative_error(value, expected[name]) for name, value in results.items()}


@given(problem=problems("float64", 70, 12), threads=threads_to_use, variant=variants)
def test_float32_agrees_with_float64(problem, threads, variant):
    single = problem.astype("float32")
    results = single.run(VARIANTS[variant], threads)
    double = single.astype("float64")
    expected = double.run(VARIANTS[variant])
    rounding = {}
    if problem.spec.get("layer_norm"):
        rounding = effect_of_rounding(double, VARIANTS[variant], expected)
    for name, value in results.items():
        tolerance = FORWARD["float32"] if name in ("y", "h", "c", "gates") else GRADIENT_OF_FLOAT32
        if problem.spec.get("layer_norm"):
            tolerance = max(LAYER_NORM_AMPLIFIES * tolerance, 10 * rounding[name])
        assert relative_error(value, expected[name]) <= tolerance, name


@pytest.mark.parametrize("name", SPECS)
def test_every_element_of_the_gradients_agrees_with_central_differences(core, name):
    problem = RecurrentProblem.random(SPECS[name], 1, 2, 3, 2, 3, ragged=True)
    results = problem.run(core)
    for of, gradient in GRADIENT_OF.items():
        at = getattr(problem, of)
        if at is not None:
            numeric = numeric_gradient(problem.reference_loss, at)
            if problem.spec.get("layer_norm"):  # large curvature: eliminate the error of order 2
                wide = numeric_gradient(problem.reference_loss, at, 2e-5)
                numeric = (4 * numeric - wide) / 3
            assert relative_error(results[gradient], numeric) < 1e-8, of


@pytest.mark.parametrize(
    ("name", "hidden"),
    [*((name, 65) for name in SPECS), *(("lstm", hidden) for hidden in (1, 5, 33, 100))],
)
def test_larger_shapes_agree_with_the_equations(core, dtype, name, hidden):
    options = {"directions": 2, "regularizers": regularizers_for(SPECS[name])}
    problem = RecurrentProblem.random(
        SPECS[name], 2, 20, 6, 70, hidden, dtype, ragged=True, **options
    )
    assert_forward_right(problem, core)
    if dtype == "float64":
        assert_gradients_right(problem, core, directions=1)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(("batch", "steps"), [(32, 9), (129, 1)])
def test_gradients_where_weights_are_summed_at_step_0_and_after(core, name, batch, steps):
    # Sums over many rows or steps are computed in blocks; backward waits between them at step 0.
    problem = RecurrentProblem.random(SPECS[name], 12, batch, steps, 2, 5)
    problem.regularizers = regularizers_for(SPECS[name])
    assert_gradients_right(problem, core, directions=1)
