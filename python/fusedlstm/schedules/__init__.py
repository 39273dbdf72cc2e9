"""Learning rate schedules.

A schedule is a frozen dataclass of options. `Schedule.multiplier` returns the factor by which the
learning rate is multiplied in one update. The state of a schedule, such as the number of finished
epochs, is a separate `ScheduleState`. `ReduceOnPlateau` also reads the loss or score of each epoch
from this state.
"""

from fusedlstm.schedules.base import Schedule, ScheduleState
from fusedlstm.schedules.cosine import Cosine, CosineRestarts
from fusedlstm.schedules.decay import Exponential, Step
from fusedlstm.schedules.one_cycle import OneCycle
from fusedlstm.schedules.plateau import ReduceOnPlateau
from fusedlstm.schedules.registry import SCHEDULES as SCHEDULES
from fusedlstm.schedules.registry import as_schedule as as_schedule

__all__ = [
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "OneCycle",
    "ReduceOnPlateau",
    "Schedule",
    "ScheduleState",
    "Step",
]


def __dir__() -> list[str]:
    return sorted(__all__)
