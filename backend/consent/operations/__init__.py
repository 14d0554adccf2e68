"""What happens to purposes, notices and consents."""

from backend.consent.operations.deciding import (
    ConsentGiven,
    ConsentNeedsGuardian,
    Expression,
    NoticeOutdated,
    SaidMeanwhile,
    Withdrawal,
    give_consent,
    refuse_consent,
    withdraw_consent,
)
from backend.consent.operations.publishing import define_purpose, publish_notice
from backend.consent.operations.rebuilding import Rebuilt, rebuild_states

__all__ = [
    "ConsentGiven",
    "ConsentNeedsGuardian",
    "Expression",
    "NoticeOutdated",
    "Rebuilt",
    "SaidMeanwhile",
    "Withdrawal",
    "define_purpose",
    "give_consent",
    "publish_notice",
    "rebuild_states",
    "refuse_consent",
    "withdraw_consent",
]
