"""``python -m fusedlstm``: output, files and errors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import fusedlstm
from fusedlstm import __main__ as command
from fusedlstm.benchmark import PEERS, Problem, cells, installed, ratios, shapes, table, timing
from fusedlstm.benchmark.peers import ONNX_PEERS
from fusedlstm.benchmark.timing import OURS, Rounds, Row, Spread, Work

TINY = shapes.Shape(2, 5, 3, 4)


@pytest.fixture(autouse=True)
def tiny_grid(monkeypatch):
    monkeypatch.setitem(shapes.GRIDS, "small", (TINY,))
    monkeypatch.setattr("fusedlstm.benchmark.run.SMALL", (TINY,))
    monkeypatch.setattr(timing, "PEAK_SECONDS", 1e-5)
    yield
    fusedlstm.set_num_threads(None)


def test_show_prints_the_version(capsys):
    command.main(["show"])
    assert capsys.readouterr().out.startswith(f"fusedlstm {fusedlstm.__version__}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bench_prints_and_writes_its_figures(capsys, tmp_path, dtype):
    file = tmp_path / "figures.json"
    arguments = ["--grid", "small", "--rounds", "2", "--peers", "", "--threads", "2"]
    command.main(["bench", *arguments, "--dtype", dtype, "--json", str(file)])
    out = capsys.readouterr().out
    figures = json.loads(file.read_text())
    assert figures["dtype"] == dtype
    assert figures["threads"] == 2
    assert figures["multiply-add loop, GFLOP/s"] > 0
    assert figures["multiply-add units, bits"] in (64, 128, 256, 512)
    for what in ("inference", "training"):
        assert [row["name"] for row in figures[what]] == [
            str(TINY),
            f"{TINY} ragged",
            f"{TINY} subnormal",
        ]
        for row in figures[what]:
            assert row["name"] in out
            assert row["first"] > 0
            assert row["ceiling"]["median"] > 0
            assert 0 < row["seconds"]["low"] <= row["seconds"]["median"] <= row["seconds"]["high"]


def test_bench_compares_cells(capsys, tmp_path):
    file = tmp_path / "figures.json"
    arguments = ["--grid", "small", "--rounds", "1", "--peers", "", "--cells", "GRU, layer norm"]
    command.main(["bench", *arguments, "--json", str(file)])
    figures = json.loads(file.read_text())
    for what in ("inference", "training"):
        names = [entry["cell"] for entry in figures[str(TINY)][what]]
        assert names == ["LSTM", "GRU", "layer norm"]
    assert "layer norm" in capsys.readouterr().out


@pytest.mark.parametrize("table", ["lengths", "threads", "calls"])
def test_bench_prints_other_tables(capsys, tmp_path, monkeypatch, table):
    monkeypatch.setattr(ratios, "CALLS", 1)
    monkeypatch.setitem(shapes.GRIDS, "small", (shapes.Shape(16, 5, 3, 4),))
    file = tmp_path / "figures.json"
    arguments = ["--grid", "small", "--rounds", "1", "--peers", "", "--table", table]
    command.main(["bench", *arguments, "--json", str(file)])
    out = capsys.readouterr().out
    assert ("LSTMTagger" if table == "calls" else "16x5x3-4") in out
    figures = json.loads(file.read_text())
    if table == "lengths":
        assert figures["16x5x3-4"]["training"]["median"] > 0
    elif table == "threads":
        assert figures["threads"] == 2
        assert all(value > 0 for value in figures["16x5x3-4"].values())
    else:
        assert all(value["median"] > 0 for value in list(figures.values())[-1].values())


def test_every_cell_can_be_measured():
    entries = cells.measure(cells.layers(1), TINY, "float32", 1, 1, ())
    assert [entry.cell for entry in entries["training"]] == list(cells.layers(1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required"),
        (
            ["bench", "--peers", "keras"],
            "--peers must be names from torch, onnxruntime, openvino; got 'keras'",
        ),
        (["bench", "--cells", "LTSM"], "--cells must be names from LSTM, GRU"),
        (["bench", "--threads", "0"], "invalid positive integer value: '0'"),
        (
            ["bench", "--json", "no/such/folder/f.json"],
            "--json must be a file in an existing folder",
        ),
    ],
)
def test_errors_of_the_command_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("kind", [{}, {"ragged": True}, {"subnormal": True}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_peers_compute_the_same_outputs(peer, kind, dtype):
    if not installed(peer):
        pytest.skip(f"{peer} is not installed")
    # The input is large enough that its memory is reused if a peer does not keep it.
    problem = Problem(shapes.Shape(32, 50, 8, 5), dtype, 1, [peer], **kind)
    calls = problem.inference()
    assert (peer in calls) == (peer not in ONNX_PEERS or dtype == "float32")
    outputs = {name: np.asarray(call()) for name, call in calls.items()}
    for name in outputs.keys() & set(ONNX_PEERS):  # (T, D, B, H)
        outputs[name] = outputs[name][:, 0].transpose(1, 0, 2)
    for y in outputs.values():
        np.testing.assert_allclose(y, outputs[OURS], rtol=0, atol=1e-5)
    for call in problem.training().values():
        call()


def test_spread_holds_median_and_deciles():
    assert Spread.of(range(21)) == (10, 2, 18)
    assert Spread.of([3.0]) == (3, 3, 3)


def test_rows_hold_the_figures_of_the_rounds():
    calls = dict.fromkeys((OURS, "other"), lambda: None)
    rounds = Rounds(calls, Work(5 * 10**9, saving=4e9, backward=6e9), "float32", 1)
    rounds.times = {OURS: [1.0, 2.0, 1.0], "other": [2.0, 6.0, 3.0]}
    rounds.peaks = [10e9, 5e9, 10e9]
    rounds.tile_rates = [(10e9, 1.0, 40e9, 40e9), (5e9, 1.0, 20e9, 20e9), (10e9, 1.0, 40e9, 40e9)]
    row = rounds.row("name")
    assert row.gflops == 5
    assert row.share == (0.5, 0.5, 0.5)
    assert row.ceiling == (0.75, 0.75, 0.75)
    assert row.ratios == {"other": (3, 2, 3)}


def test_the_table_shows_what_was_measured():
    one = Spread(1.0, 1.0, 1.0)
    rows = [
        Row("a", 1, one, 7, one, one, {"torch": Spread(2, 1, 3), "onnxruntime": Spread(8, 8, 8)}),
        Row("b", 1, one, 7, one, one, {"torch": Spread(8, 8, 8), "onnxruntime": Spread(2, 2, 2)}),
    ]
    lines = table.heading(PEERS).splitlines()
    lines += [table.row_line(row, PEERS) for row in rows]
    assert len({len(line) for line in lines}) == 1
    assert "2.00 [1.00 to 3.00]" in table.row_line(rows[0], PEERS)
    means = [float(line.rpartition(" ")[2]) for line in table.means(rows, PEERS)]
    assert means == pytest.approx([4, 4, 2])
    assert not table.means([Row("a", 1, one, 7, one, one, {})], [])


@pytest.mark.parametrize(("share", "shown"), [(0.5, "50%"), (1.05, "105%"), (2.51, "noisy")])
def test_shares_above_the_peak_are_marked_as_noisy(share, shown):
    one, of_peak = Spread(1.0, 1.0, 1.0), Spread(share, share, share)
    line = table.row_line(Row("a", 1, one, 7, of_peak, one, {}), [])
    assert line.split("|")[-3].strip() == shown
    assert str(cells.Entry("GRU", one, one, of_peak, None)).split() == ["1.00", "1.00", shown]


def test_flops_of_a_shape():
    assert TINY.flops == 2 * 2 * 5 * 4 * 4 * (3 + 4)
    assert math.isclose(TINY.flops_of(5) * 2, TINY.flops)
