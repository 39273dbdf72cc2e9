"""Files are written as a whole or not at all, with the usual permissions."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import fusedlstm
from fusedlstm import LSTMRegressor, Sequential
from fusedlstm.layers import Dense
from saved_objects import TOTAL, X, quick


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    quick(LSTMRegressor).fit(X, TOTAL).save(path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError("No space left on device")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, fail)
            with pytest.raises(OSError, match="No space left"):
                quick(LSTMRegressor, hidden_size=5).fit(X, TOTAL).save(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]
    quick(LSTMRegressor, hidden_size=5).fit(X, TOTAL).save(path)
    assert path.read_bytes() != before


@pytest.mark.skipif(os.name != "posix", reason="needs permissions and links of POSIX")
def test_saved_files_have_the_usual_permissions_and_follow_links(tmp_path):
    model = Sequential([Dense(1)], 1)
    (tmp_path / "plain").touch()
    model.save(tmp_path / "saved")
    assert (tmp_path / "saved").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "link").symlink_to(tmp_path / "saved")
    model.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666, 0o4755])
def test_a_replaced_file_keeps_its_permissions(mode, tmp_path, monkeypatch):
    path, model = tmp_path / "file", Sequential([Dense(1)], 1)
    path.touch()
    path.chmod(mode)
    while_written, fsync = [], os.fsync

    def look(descriptor):
        while_written.append(os.fstat(descriptor).st_mode & 0o777)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    model.save(path)
    assert path.stat().st_mode & 0o7777 == mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    assert while_written == [(mode | 0o600) & 0o777 & ~umask]  # for `remove_unfinished`
    assert fusedlstm.load(path).params.tobytes() == model.params.tobytes()


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
def test_a_private_file_is_never_readable_by_others(tmp_path, monkeypatch):
    path, opened, create = tmp_path / "file", [], os.open
    path.touch()
    path.chmod(0o600)

    def look(path, flags, mode=0o777, **options):
        descriptor = create(path, flags, mode, **options)
        opened.append(os.fstat(descriptor).st_mode & 0o777)
        return descriptor

    monkeypatch.setattr(os, "open", look)
    Sequential([Dense(1)], 1).save(path)
    assert opened == [0o600]


SAVE_FOR_EVER = """if True:
    import os, sys
    from fusedlstm import Sequential
    from fusedlstm.layers import Dense
    os.fsync = lambda descriptor: os.kill(os.getpid(), 9)
    Sequential([Dense(1)], 1).save(sys.argv[1])
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_save_removes_temporary_files_of_a_killed_save(tmp_path):
    path, model = tmp_path / "file", Sequential([Dense(1)], 1)
    path.touch()
    path.chmod(0o444)
    ran = subprocess.run([sys.executable, "-c", SAVE_FOR_EVER, path], timeout=120)
    assert ran.returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".file.20261121").touch()
    model.save(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == [".file.20261121", "file"]


def test_concurrent_saves_do_not_interfere(tmp_path, monkeypatch):
    path, fsync, inner = tmp_path / "file", os.fsync, []

    def save_another(descriptor):
        if not inner:
            inner.append(1)
            Sequential([Dense(2)], 1).save(path)
            assert fusedlstm.load(path).output_size == 2
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", save_another)
    Sequential([Dense(1)], 1).save(path)
    assert fusedlstm.load(path).output_size == 1
    assert list(tmp_path.iterdir()) == [path]


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path):
    for name in ("x" * 255, "\N{SNOWMAN}" * 85):
        Sequential([Dense(1)], 1).save(tmp_path / name)
        assert fusedlstm.load(tmp_path / name).output_size == 1
    with pytest.raises(OSError, match="File name too long"):
        Sequential([Dense(1)], 1).save(tmp_path / ("x" * 256))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("path", [None, 3, b"bytes", "", open])
def test_paths_that_are_not_strings_are_an_error(path):
    with pytest.raises(TypeError, match="path must be a string or a path; got"):
        Sequential([Dense(1)], 1).save(path)
    with pytest.raises(TypeError, match="path must be a string or a path; got"):
        fusedlstm.load(path)


@pytest.mark.parametrize("path", ["a\0b", "a\ud800"])
def test_paths_that_the_file_system_cannot_hold_are_an_error(path, tmp_path):
    sentence = "^{} must be a path that the file system can represent; got " + re.escape(repr(path))
    with pytest.raises(ValueError, match=sentence.format("path")):
        Sequential([Dense(1)], 1).save(path)
    with pytest.raises(ValueError, match=sentence.format("path")):
        fusedlstm.load(path)
    with pytest.raises(ValueError, match=sentence.format("checkpoint")):
        quick(LSTMRegressor).fit(X, TOTAL, checkpoint=path)


def test_a_file_instead_of_a_folder_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        Sequential([Dense(1)], 1).save(tmp_path / "file" / "x")
    with pytest.raises(NotADirectoryError, match="file"):
        fusedlstm.load(tmp_path / "file" / "x")
    with pytest.raises(NotADirectoryError, match="file"):
        quick(LSTMRegressor).fit(X, TOTAL, checkpoint=tmp_path / "file" / "x")


def test_a_missing_file_or_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        fusedlstm.load(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        Sequential([Dense(1)], 1).save(tmp_path / "missing" / "file")
    with pytest.raises(OSError, match="directory"):
        fusedlstm.load(tmp_path)
    with pytest.raises(OSError, match="directory"):
        Sequential([Dense(1)], 1).save(tmp_path)
