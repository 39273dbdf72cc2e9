"""Each header of the core compiles without other headers: it includes what it uses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

CPP = Path(__file__).parents[2] / "cpp"
HEADERS = sorted(path.relative_to(CPP).as_posix() for path in CPP.rglob("*.hpp"))
COMPILER = os.environ.get("CXX") or shutil.which("c++")
# As in CMakeLists.txt.
FLAGS = ["-std=c++17", "-fopenmp", "-fvisibility=hidden", "-ffp-contract=off"]
FLAGS += ["-DEIGEN_MPL2_ONLY", "-DEIGEN_DONT_PARALLELIZE"]
FLAGS += ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
GCC_FLAGS = ["-Wno-ignored-attributes", "-Wno-uninitialized", "-Wno-maybe-uninitialized"]


def compiler() -> list[str]:
    """Return the command, or skip the test."""
    if COMPILER is None:
        pytest.skip("there is no C++ compiler")
    about = subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=True)
    clang = "clang" in about.stdout
    return [COMPILER, *FLAGS, *([] if clang else GCC_FLAGS)]


def eigen() -> str:
    """Return the folder of Eigen's headers, or skip the test."""
    found = subprocess.run(
        [sys.executable, "-m", "cmeel", "cmake"], capture_output=True, text=True, check=False
    )
    folders = [Path("/usr/include/eigen3"), Path("/usr/local/include/eigen3")]
    if found.returncode == 0:
        folders.insert(0, Path(found.stdout.strip()) / "include" / "eigen3")
    for folder in folders:
        if (folder / "Eigen" / "Core").is_file():
            return str(folder)
    pytest.skip("Eigen is not installed")


def errors(command: list[str], header: str) -> str:
    """Return the messages of the compiler for a source that includes only this header."""
    result = subprocess.run(
        [*command, f"-I{CPP}", "-x", "c++", "-fsyntax-only", "-"],
        input=f'#include "{header}"\n',
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stderr if result.returncode else ""


def test_a_header_that_lacks_an_include_is_found(tmp_path):
    bad = tmp_path / "bad.hpp"
    bad.write_text("#pragma once\ninline std::vector<int> none() { return {}; }\n")
    assert "vector" in errors(compiler(), str(bad))
    bad.write_text(
        "#pragma once\n#include <vector>\ninline std::vector<int> none() { return {}; }\n"
    )
    assert not errors(compiler(), str(bad))


@pytest.mark.slow
@pytest.mark.parametrize("header", [name for name in HEADERS if not name.startswith("bindings/")])
def test_headers_of_kernels(header):
    command = [*compiler(), "-isystem", eigen(), "-DFUSEDLSTM_VARIANT=baseline"]
    assert not errors(command, header)


@pytest.mark.slow
@pytest.mark.parametrize("header", HEADERS)
def test_headers_as_the_bindings_see_them(header):
    pybind11 = pytest.importorskip("pybind11")
    folders = [pybind11.get_include(), sysconfig.get_paths()["include"]]
    command = [*compiler(), "-DFUSEDLSTM_NO_PACKETS"]
    for folder in folders:
        command += ["-isystem", folder]
    assert not errors(command, header)
