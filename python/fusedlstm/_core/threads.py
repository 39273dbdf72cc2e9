"""Maximum number of threads of a call of the compiled core.

The default is the minimum of three limits: the OpenMP maximum (which ``OMP_NUM_THREADS``,
threadpoolctl and the workers of joblib set), the number of CPUs on which the process may run, and
the CPU quota of the container.
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
    """Return the CPU quota of the control group at ``root``, infinity if there is no limit."""
    try:
        text = (root / "cpu.max").read_text().split()  # cgroup version 2
        quota, period = text[0], text[1]
    except (OSError, IndexError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()  # cgroup version 1
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return math.inf
    try:
        cpus = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):  # "max" stands for no limit
        return math.inf
    return cpus if cpus > 0 else math.inf


_QUOTA = math.ceil(min(2**31, max(1, _cgroup_quota(Path("/sys/fs/cgroup")))))


def get_num_threads() -> int:
    """Return the maximum number of threads of a call.

    Small calls use fewer threads. Results do not depend on the number of threads.

    Returns
    -------
    int
        The number that was set with `set_num_threads`, or the default number that is described
        there. During a call of an estimator, the value of ``n_threads`` if it is not None.

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
    """Set the maximum number of threads of a call, for the whole process.

    In a forked process, such as a worker of `multiprocessing` with the start method ``"fork"``,
    every call uses one thread.

    Parameters
    ----------
    n : positive int or None
        Maximum number of threads. None restores the default: the minimum of the OpenMP maximum
        (``OMP_NUM_THREADS``), the number of CPUs on which the process may run, and the CPU quota of
        the container.

    Raises
    ------
    TypeError, ValueError
        If ``n`` is not a positive integer or None.

    See Also
    --------
    get_num_threads : Return the maximum number of threads of a call.

    Notes
    -----
    The OpenMP library of GCC does not work after a fork, because the threads of the parent process
    do not exist in the child process. The start methods ``"spawn"`` and ``"forkserver"`` of
    `multiprocessing`, and ``"loky"``, the default backend of joblib, start workers that can use
    several threads.

    If the system does not allow another thread (a limit on processes, or the limit on process ids
    of a container), the OpenMP library prints a message and terminates the process without an
    exception. In such an environment, use one thread.

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
    """Return a context manager that limits the number of threads of calls in this Python thread.

    Parameters
    ----------
    n : positive int or None
        Maximum number of threads. With None the limit does not change.
    """
    return _NO_LIMIT if n is None else _limited(positive_int("n_threads", n))


_NO_LIMIT = contextlib.nullcontext()


@contextlib.contextmanager
def _limited(n: int) -> Iterator[None]:
    token = _limit.set(n)
    try:
        yield
    finally:
        _limit.reset(token)
