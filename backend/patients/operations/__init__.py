"""What happens to patients, their contact points, representatives and occasions."""

from backend.patients.operations.contact_points import (
    CodeRefused,
    CodeTooSoon,
    add_contact_point,
    attest_contact_point,
    prepare_code,
    register_device,
    remove_contact_point,
    remove_device,
    verify_contact_point,
)
from backend.patients.operations.importing import ImportCounts, import_records
from backend.patients.operations.intake import ImportRow, RowOutcome

__all__ = [
    "CodeRefused",
    "CodeTooSoon",
    "ImportCounts",
    "ImportRow",
    "RowOutcome",
    "add_contact_point",
    "attest_contact_point",
    "import_records",
    "prepare_code",
    "register_device",
    "remove_contact_point",
    "remove_device",
    "verify_contact_point",
]
