"""What happens to templates and messages."""

from backend.messaging.operations.checks import plan_checks
from backend.messaging.operations.planning import (
    Choice,
    Planned,
    PlanRequest,
    cancel_changed_messages,
    choose,
    plan_messages,
)
from backend.messaging.operations.renewing import plan_renewals
from backend.messaging.operations.templates import publish_template
from backend.messaging.variants import VariantText

__all__ = [
    "Choice",
    "PlanRequest",
    "Planned",
    "VariantText",
    "cancel_changed_messages",
    "choose",
    "plan_checks",
    "plan_messages",
    "plan_renewals",
    "publish_template",
]
