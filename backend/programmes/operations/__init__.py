"""What happens to programmes: written, approved, started, paused; planned tick by tick; their reach computed."""

from backend.programmes.operations.planning import Reach, ReachLine, compute_reach, plan_programme, plan_programmes
from backend.programmes.operations.writing import (
    NotAHealthProfessional,
    NotApproved,
    approve_programme,
    pause_programme,
    start_programme,
    write_programme,
)

__all__ = [
    "NotAHealthProfessional",
    "NotApproved",
    "Reach",
    "ReachLine",
    "approve_programme",
    "compute_reach",
    "pause_programme",
    "plan_programme",
    "plan_programmes",
    "start_programme",
    "write_programme",
]
