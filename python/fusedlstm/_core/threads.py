"""How many threads a call uses.

The default is the least of three limits: OpenMP's own (which ``OMP_NUM_THREADS``, threadpoolctl and
joblib's workers set), the CPUs this process may run on, and the container's CPU quota.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from fusedlstm._core import core
from fusedlstm._utils.validation import positive_int

_chosen: int | None = None
_limit: contextvars.ContextVar[int | None] = contextvars.ContextVar("fusedlstm_threads")


def _cgroup_quota(root: Path) -> float:
    """CPUs that the control group at ``root`` grants; infinity where it sets no limit."""
    try:
        text = (root / "cpu.max").read_text().split()  # version 2
        quota, period = text[0], text[1]
    except (OSError, IndexError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()  # version 1
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return math.inf
    try:
        cpus = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return math.inf
    return cpus if cpus > 0 else math.inf


_QUOTA = math.ceil(min(2**31, max(1, _cgroup_quota(Path("/sys/fs/cgroup")))))


def get_num_threads() -> int:
    """Return the largest number of threads that a call may use.

    Small calls use fewer. Results do not depend on it.

    Examples
    --------
    >>> import fusedlstm
    >>> fusedlstm.get_num_threads() >= 1
    True
    """
    limit = _limit.get(None) or _chosen
    if limit is not None:
        return limit
    return min(core.default_threads(), _QUOTA)


def set_num_threads(n: int | None) -> None:
    """Set the largest number of threads that a call may use, for the whole process.

    In a forked process, such as a worker of `multiprocessing` with the start method ``"fork"``,
    every call runs on one thread.

    Parameters
    ----------
    n : int or None
        Positive; None goes back to the default, the least of OpenMP's maximum, the CPUs this
        process may run on and the container's CPU quota.

    Notes
    -----
    GCC's OpenMP cannot be used after a fork: it would wait for threads that only the parent has.
    The start methods ``"spawn"`` and ``"forkserver"``, and joblib's default backend ``"loky"``,
    give workers that can use several threads.

    Where the system refuses a new thread (a limit on processes or a container's limit on pids),
    the OpenMP library prints a message and ends the process; it raises no exception. In such an
    environment, use one thread.

    Examples
    --------
    >>> import fusedlstm
    >>> fusedlstm.set_num_threads(1)
    >>> fusedlstm.get_num_threads()
    1
    >>> fusedlstm.set_num_threads(None)
    """
    global _chosen
    _chosen = None if n is None else positive_int("n", n)


def thread_limit(n: int | None) -> AbstractContextManager[None]:
    """Use ``n`` threads in the body, in this thread of Python only; None changes nothing."""
    return _NO_LIMIT if n is None else _limited(positive_int("n_threads", n))


_NO_LIMIT = contextlib.nullcontext()


@contextlib.contextmanager
def _limited(n: int) -> Iterator[None]:
    token = _limit.set(n)
    try:
        yield
    finally:
        _limit.reset(token)
