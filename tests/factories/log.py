"""What the log says, as far as anybody may read it."""

import json
from collections import Counter
from uuid import UUID

from backend.audit.actions import BY_CODE, Action
from backend.audit.leaf import parse_leaf
from backend.audit.models import AuditEntry, AuditLog


def actions_recorded(clinic_id: UUID) -> Counter[Action]:
    """How often each action stands in a clinic's log."""
    logs = AuditLog.objects.filter(clinic_id=clinic_id).values("id")
    leaves = AuditEntry.objects.filter(log_id__in=logs).values_list("leaf", flat=True)
    return Counter(BY_CODE[json.loads(parse_leaf(bytes(leaf)).header_bytes)["a"]] for leaf in leaves)
