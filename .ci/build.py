"""Print seconds and megabytes of each compiler process of a build, and the size of the wheel.

Fails above 700 MB per process, 120 processor seconds in all (60 seconds on two cores) or 3 MB.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

MOST_MEGABYTES, MOST_SECONDS, MOST_WHEEL = 700, 120, 3
LOG = "FUSEDLSTM_COMPILER_LOG"


def compile_and_log(command: list[str]) -> int:
    """Run a compiler; append its processor seconds, megabytes and source to the log."""
    status = subprocess.run(command, check=False).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    source = next((word for word in command if word.endswith(".cpp")), "")
    if source:
        seconds = used.ru_utime + used.ru_stime
        with open(os.environ[LOG], "a") as log:
            log.write(f"{seconds:.1f} {used.ru_maxrss / 1024:.0f} {Path(source).name}\n")
    return status


def main() -> None:
    """Build a wheel from scratch and check what it took."""
    with tempfile.TemporaryDirectory() as folder:
        log, launcher = Path(folder, "log"), Path(folder, "launcher")
        launcher.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n'
        )
        launcher.chmod(0o755)
        settings = [
            f"build-dir={folder}/build",
            f"cmake.define.CMAKE_CXX_COMPILER_LAUNCHER={launcher}",
        ]
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, "."]
        command += [f"--config-settings={setting}" for setting in settings]
        subprocess.run(command, check=True, env={**os.environ, LOG: str(log)})
        rows = [line.split() for line in log.read_text().splitlines()]
        (wheel,) = Path(folder).glob("*.whl")
        size = wheel.stat().st_size / 2**20
    for seconds, megabytes, source in rows:
        print(f"{source:16} {float(seconds):6.1f} s {int(megabytes):5d} MB")
    total = sum(float(seconds) for seconds, *_ in rows)
    print(f"{total:.1f} processor seconds in all, wheel {size:.2f} MB")
    if any(int(megabytes) > MOST_MEGABYTES for _, megabytes, _ in rows):
        sys.exit(f"a compiler process took more than {MOST_MEGABYTES} MB")
    if total > MOST_SECONDS or size >= MOST_WHEEL:
        sys.exit(f"more than {MOST_SECONDS} seconds or {MOST_WHEEL} MB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(compile_and_log(sys.argv[1:]))
    main()
