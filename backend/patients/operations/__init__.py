"""What happens to patients, their contact points, representatives and occasions."""

from backend.patients.operations.ages import note_age_judged
from backend.patients.operations.contact_points import (
    CodeRefused,
    CodeTooSoon,
    add_contact_point,
    attest_contact_point,
    prepare_code,
    remove_contact_point,
    verify_contact_point,
)
from backend.patients.operations.devices import end_old_devices, register_device, remove_device
from backend.patients.operations.erasing import (
    Erased,
    OfficerNeeded,
    ask_for_erasure,
    confirm_erasure,
    erase_patient,
    take_back_erasure,
)
from backend.patients.operations.importing import ImportCounts, import_records
from backend.patients.operations.intake import ImportRow, RowOutcome
from backend.patients.operations.representing import (
    add_representative,
    end_representation,
    hide_purposes,
    set_representation,
)
from backend.patients.operations.restricting import Restricted, lift_restriction, restrict_processing

__all__ = [
    "CodeRefused",
    "CodeTooSoon",
    "Erased",
    "ImportCounts",
    "ImportRow",
    "OfficerNeeded",
    "Restricted",
    "RowOutcome",
    "add_contact_point",
    "add_representative",
    "ask_for_erasure",
    "attest_contact_point",
    "confirm_erasure",
    "end_old_devices",
    "end_representation",
    "erase_patient",
    "hide_purposes",
    "import_records",
    "lift_restriction",
    "note_age_judged",
    "prepare_code",
    "register_device",
    "remove_contact_point",
    "remove_device",
    "restrict_processing",
    "set_representation",
    "take_back_erasure",
    "verify_contact_point",
]
