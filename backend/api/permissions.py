"""What a token may do. Whatever a view does not allow by name is refused."""

from typing import TYPE_CHECKING, ClassVar, Final

from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from backend.accounts.models import Role
from backend.accounts.queries import Bearer
from backend.api.authentication import bearer_of
from backend.clinics.models import MembershipRole
from backend.clinics.queries import find_membership

if TYPE_CHECKING:
    # DRF reads its settings, which name this module, while it loads its views.
    from rest_framework.views import APIView

MEMBERSHIP_OF: Final = {Role.STAFF: MembershipRole.STAFF, Role.DPO: MembershipRole.DPO}


class DenyAll(BasePermission):
    """The default: a view that names no permission answers nobody."""

    def has_permission(self, request: Request, view: "APIView") -> bool:  # noqa: ARG002 - DRF's signature
        """Never."""
        return False


class _Roles(BasePermission):
    reading: ClassVar[frozenset[Role]]
    writing: ClassVar[frozenset[Role]]

    def has_permission(self, request: Request, view: "APIView") -> bool:  # noqa: ARG002 - DRF's signature
        """Does the token have one of the roles, and does its holder still work there?"""
        bearer = bearer_of(request)
        allowed = self.reading if request.method in SAFE_METHODS else self.writing
        if bearer.role not in allowed:
            raise exceptions.PermissionDenied(code="wrong_role")
        if bearer.account_id is not None and not _still_works_there(bearer):
            raise exceptions.PermissionDenied(code="not_a_member")
        return True


class PatientOnly(_Roles):
    """The patient, about themselves."""

    reading = writing = frozenset({Role.PATIENT})


class RepresentativeOnly(_Roles):
    """Who represents a patient, as far as that goes: the endpoint looks at its scope and dates."""

    reading = writing = frozenset({Role.REPRESENTATIVE})


class StaffOnly(_Roles):
    """Whoever works in the clinic."""

    reading = writing = frozenset({Role.STAFF})


class StaffWritesDpoReads(_Roles):
    """Staff do the work; the data protection officer may look."""

    reading = frozenset({Role.STAFF, Role.DPO})
    writing = frozenset({Role.STAFF})


class StaffOrDpo(_Roles):
    """Whoever works in the clinic, and the data protection officer."""

    reading = writing = frozenset({Role.STAFF, Role.DPO})


class DpoOnly(_Roles):
    """The data protection officer."""

    reading = writing = frozenset({Role.DPO})


def _still_works_there(bearer: Bearer) -> bool:
    if bearer.account_id is None:
        return False
    membership = find_membership(account_id=bearer.account_id, clinic_id=bearer.clinic_id)
    return membership is not None and membership.role == MEMBERSHIP_OF.get(bearer.role)
