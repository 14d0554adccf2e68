"""What happens to templates and messages."""

from backend.messaging.operations.checks import plan_checks
from backend.messaging.operations.drafting import (
    DraftRow,
    Published,
    approve_draft,
    discard_draft,
    get_draft,
    lint_words,
    publish_draft,
    publish_words,
    save_draft,
)
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
    "DraftRow",
    "PlanRequest",
    "Planned",
    "Published",
    "VariantText",
    "approve_draft",
    "cancel_changed_messages",
    "choose",
    "discard_draft",
    "get_draft",
    "lint_words",
    "plan_checks",
    "plan_messages",
    "plan_renewals",
    "publish_draft",
    "publish_template",
    "publish_words",
    "save_draft",
]
