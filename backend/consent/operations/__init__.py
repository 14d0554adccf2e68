"""What happens to purposes, notices, consents and objections."""

from backend.consent.operations.accompanying import is_child
from backend.consent.operations.asking import note_asked, note_notice_served
from backend.consent.operations.confirming import (
    AddressSuppressed,
    Answered,
    Asked,
    AskedTooOften,
    LinkTooOld,
    ProcessingRestricted,
    answer_by_link,
    ask_by_link,
)
from backend.consent.operations.correcting import confirm_error, report_error
from backend.consent.operations.deciding import (
    ConsentGiven,
    Withdrawal,
    give_consent,
    refuse_consent,
    withdraw_consent,
)
from backend.consent.operations.ending import end_consents, invalidate_consents, revoke_consents
from backend.consent.operations.expressing import (
    AgeUnknown,
    AlreadyAnswered,
    Expression,
    NoticeOutdated,
    ObjectionStands,
    SaidMeanwhile,
)
from backend.consent.operations.judging_ages import judge_ages_anew
from backend.consent.operations.notices import (
    NoticeAlreadyApproved,
    NoticeAlreadyPublished,
    NoticeIncomplete,
    NoticeNotApproved,
    approve_notice,
    draft_notice,
    missing_in_draft,
    publish_draft,
    publish_notice,
)
from backend.consent.operations.objecting import Objected, object_to, take_back_objection
from backend.consent.operations.publishing import (
    correct_legal_bases,
    define_purpose,
    note_impact_assessment,
    remind_of_renewal,
)
from backend.consent.operations.rebuilding import Rebuilt, rebuild_states, rebuild_states_of_an_earlier_version
from backend.consent.operations.receipts import Form, Receipt, issue_receipt, replace_receipt_key

__all__ = [
    "AddressSuppressed",
    "AgeUnknown",
    "AlreadyAnswered",
    "Answered",
    "Asked",
    "AskedTooOften",
    "ConsentGiven",
    "Expression",
    "Form",
    "LinkTooOld",
    "NoticeAlreadyApproved",
    "NoticeAlreadyPublished",
    "NoticeIncomplete",
    "NoticeNotApproved",
    "NoticeOutdated",
    "Objected",
    "ObjectionStands",
    "ProcessingRestricted",
    "Rebuilt",
    "Receipt",
    "SaidMeanwhile",
    "Withdrawal",
    "answer_by_link",
    "approve_notice",
    "ask_by_link",
    "confirm_error",
    "correct_legal_bases",
    "define_purpose",
    "draft_notice",
    "end_consents",
    "give_consent",
    "invalidate_consents",
    "is_child",
    "issue_receipt",
    "judge_ages_anew",
    "missing_in_draft",
    "note_asked",
    "note_impact_assessment",
    "note_notice_served",
    "object_to",
    "publish_draft",
    "publish_notice",
    "rebuild_states",
    "rebuild_states_of_an_earlier_version",
    "refuse_consent",
    "remind_of_renewal",
    "replace_receipt_key",
    "report_error",
    "revoke_consents",
    "take_back_objection",
    "withdraw_consent",
]
