"""The choice of the variant of the core, and the import of the package."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

import fusedlstm
from fusedlstm import _core
from fusedlstm._core.variants import ENVIRONMENT_VARIABLE

SCRIPT = """
import numpy as np, fusedlstm
from fusedlstm.layers import LSTM
model = fusedlstm.Sequential([LSTM(33)], input_size=3, random_state=0)
print(fusedlstm._core.core.variant, float(model.predict(np.ones((5, 7, 3))).sum()))
"""


def run_python(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_baseline_variant_is_always_available():
    assert "baseline" in _core.load_variants()


def test_each_variant_module_has_its_name():
    for name, module in _core.load_variants().items():
        assert module.variant == name
        assert module.runnable_variants() == _core.core.runnable_variants()


def test_the_fastest_variant_is_the_default():
    if os.environ.get(ENVIRONMENT_VARIABLE):
        pytest.skip("a variant is forced")
    assert _core.core.variant == next(iter(_core.load_variants()))


@pytest.mark.parametrize("variant", _core.load_variants())
def test_the_environment_variable_forces_a_variant(variant):
    ran = run_python(SCRIPT, FUSEDLSTM_VARIANT=variant)
    assert ran.returncode == 0, ran.stderr
    name, total = ran.stdout.split()
    assert name == variant
    model = fusedlstm.Sequential([fusedlstm.layers.LSTM(33)], input_size=3, random_state=0)
    assert float(total) == pytest.approx(model.predict(np.ones((5, 7, 3))).sum(), rel=1e-5)


def test_forcing_an_unknown_variant_is_an_error():
    ran = run_python(SCRIPT, FUSEDLSTM_VARIANT="avx1024")
    assert ran.returncode != 0
    names = ", ".join(_core.load_variants())
    assert f"FUSEDLSTM_VARIANT must be one of {names} on this machine; got 'avx1024'" in ran.stderr


def test_a_variant_may_be_named_with_dashes():
    name = next(iter(_core.load_variants()))
    ran = run_python(SCRIPT, FUSEDLSTM_VARIANT=name.replace("_", "-"))
    assert ran.stdout.split()[0] == name


def test_show_config_prints_version_variant_and_threads(capsys):
    fusedlstm.show_config()
    text = capsys.readouterr().out
    assert fusedlstm.__version__ in text
    assert _core.core.variant in text
    assert "threads" in text


def test_import_does_not_import_scikit_learn():
    assert run_python("import sys, fusedlstm; print('sklearn' in sys.modules)").stdout == "False\n"


@pytest.mark.timing
def test_import_takes_less_than_30_milliseconds(tmp_path):
    # An installation compiles the modules to bytecode.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    script = (
        "import sys, time, numpy\n"
        # Time of this thread only: threads of NumPy's BLAS are still starting.
        "start = time.thread_time()\n"
        "import fusedlstm\n"
        "print(time.thread_time() - start)"
    )
    assert min(float(run_python(script, **compiled).stdout) for _ in range(4)) < 0.03


def test_all_public_names_can_be_accessed():
    assert set(fusedlstm.__all__) <= set(dir(fusedlstm))
    for name in fusedlstm.__all__:
        assert getattr(fusedlstm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'LSTMClasifier'"):
        fusedlstm.LSTMClasifier  # noqa: B018


def test_type_checkers_see_the_lazy_names():
    tree = ast.parse(inspect.getsource(fusedlstm))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = [
        (node.module, alias.asname)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert imported == [
        (f"fusedlstm.{module}", name) for module, names in fusedlstm._LAZY.items() for name in names
    ]


def test_submodules_are_attributes_of_the_package():
    ran = run_python("import fusedlstm; print(fusedlstm.layers.LSTM, fusedlstm.optimizers.Adam)")
    assert ran.returncode == 0, ran.stderr


def test_multiply_add_peak_is_a_positive_rate(core):
    assert 0 < core.multiply_add_peak("float32", 0.01, 1) < 1e13
    assert 0 < core.multiply_add_overlap(0.001) < 1e3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2])
def test_tile_rates_are_positive(core, dtype, threads):
    rates = core.tile_rates(dtype, 1e-4, threads)
    assert len(rates) == 4
    assert all(0 < rate < 1e14 for rate in rates)
