"""The proofs of the log: its signed checkpoint, its verification, and the bundle that anybody can verify elsewhere."""

import tempfile
from base64 import b64encode
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.http import FileResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import ClinicEndpoint
from backend.api.fields import Input, Moment, Output, Text, YesNo, choice_of
from backend.api.languages import spoken_language
from backend.api.pages import refuse_unknown
from backend.api.permissions import DpoOnly
from backend.audit.bundle.exporting import Views, export_log
from backend.audit.bundle.releasing import read_public_key
from backend.audit.tree_check import TreeFinding
from backend.audit.verifying import Comparison, Fit, SignedLog, Verified, get_signed_log, verify_log
from backend.errors import InvalidInput

NOTE_LENGTH: Final = 4_000
KEY_LENGTH: Final = 2_000
ZIP: Final = "application/zip"


class CheckpointOutput(Output):
    """A log as it was signed last."""

    origin = serializers.CharField(help_text="The name of the log.")
    size = serializers.IntegerField()
    root_hash = serializers.CharField(help_text="Base64.")
    at = Moment()
    key = serializers.CharField(help_text="The key that signs, as C2SP writes it: name, hash and key.")
    note = serializers.CharField(help_text="The signed note. Keep it apart from this installation.")


class FindingOutput(Output):
    """Something that is wrong with the log."""

    entry = serializers.IntegerField(allow_null=True, help_text="The place of the entry, from 0 on.")
    what = serializers.CharField()


class ComparisonOutput(Output):
    """How the checkpoint that was sent fits the log."""

    fit = choice_of(Fit)
    size = serializers.IntegerField(allow_null=True)
    proof = serializers.ListField(
        child=serializers.CharField(), help_text="RFC 6962 consistency proof from then to now, Base64."
    )


class VerifyOutput(Output):
    """What came of hashing every entry anew."""

    holds = serializers.BooleanField(
        help_text="Is the log as it was signed, and does what was sent fit it? `findings` is about the log alone."
    )
    entries = serializers.IntegerField()
    waiting = serializers.IntegerField(help_text="Entries that have no place yet; they get one within seconds.")
    findings = FindingOutput(many=True)
    compared = ComparisonOutput(allow_null=True)
    checkpoint = CheckpointOutput()


class VerifyInput(Input):
    """What to compare with."""

    checkpoint = Text(
        required=False,
        max_length=NOTE_LENGTH,
        trim_whitespace=False,
        help_text="A checkpoint that was kept elsewhere, the whole note.",
    )


class ExportInput(Input):
    """What goes into the bundle besides the proof."""

    dpo_key = Text(
        required=False,
        max_length=KEY_LENGTH,
        help_text="Public X25519 key in PEM form: the keys of the entries go along, readable for its owner only.",
    )
    views = YesNo(
        required=False, default=False, help_text="The entries in clear, as CSV and FHIR AuditEvent: personal data."
    )


class AuditCheckpointView(ClinicEndpoint):
    """The signed size and root of the log."""

    permission_classes = [DpoOnly]
    tag = "log"

    @extend_schema(responses=CheckpointOutput)
    def get(self, request: Request, **_path: object) -> Response:
        """The newest one. It holds no personal data."""
        refuse_unknown(request)
        return Response(checkpoint_on_the_wire(get_signed_log(self.clinic.id)))


class AuditVerify(ClinicEndpoint):
    """Is the log as it was signed?"""

    permission_classes = [DpoOnly]
    tag = "log"

    @extend_schema(request=VerifyInput, responses=VerifyOutput)
    def post(self, request: Request, **_path: object) -> Response:
        """Hash every entry anew, compare with all checkpoints that were signed, and with one that was kept."""
        asked = VerifyInput.read(request)
        verified = verify_log(clinic_id=self.clinic.id, kept=asked.get("checkpoint"), actor=self.actor, now=clock.now())
        return Response(verified_on_the_wire(verified))


class AuditExport(ClinicEndpoint):
    """The log with its proofs, as one file."""

    permission_classes = [DpoOnly]
    tag = "log"

    @extend_schema(
        parameters=[OpenApiParameter("views", bool, description="The entries in clear, too: personal data.")],
        responses={(200, ZIP): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, **_path: object) -> HttpResponseBase:
        """The bundle; `verifier.py` verifies it anywhere. Without the officer's key its entries stay closed."""
        refuse_unknown(request, "views")
        views = {"true": True, "false": False, "": False}.get(request.query_params.get("views", ""))
        if views is None:
            raise InvalidInput(field="views")
        return self._bundle(dpo_key=None, views=views)

    @extend_schema(request=ExportInput, responses={(200, ZIP): OpenApiTypes.BINARY})
    def post(self, request: Request, **_path: object) -> HttpResponseBase:
        """The bundle, with the keys of the entries for the officer who sends a public key."""
        asked = ExportInput.read(request)
        return self._bundle(dpo_key=asked.get("dpo_key"), views=asked["views"])

    def _bundle(self, *, dpo_key: str | None, views: bool) -> HttpResponseBase:
        recipient = None if dpo_key is None else read_public_key(dpo_key.encode())
        # It outlives this method, and is gone with the answer.
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
        try:
            exported = export_log(
                file,
                clinic_id=self.clinic.id,
                actor=self.actor,
                now=clock.now(),
                recipient=recipient,
                views=Views(language=spoken_language(), zone=ZoneInfo(self.clinic.time_zone)) if views else None,
            )
            file.seek(0)
        except BaseException:
            file.close()
            raise
        name = f"{self.clinic.slug}-audit-{exported.size}.zip"
        return FileResponse(file, as_attachment=True, filename=name, content_type=ZIP)


def checkpoint_on_the_wire(log: SignedLog) -> dict[str, Any]:
    """A checkpoint, as it is answered."""
    checkpoint = log.checkpoint
    shown = {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root_hash": b64encode(checkpoint.root).decode(),
        "at": log.at,
        "key": str(log.key),
        "note": log.note,
    }
    return dict(CheckpointOutput(shown).data)


def verified_on_the_wire(verified: Verified) -> dict[str, Any]:
    """What came of it, as it is answered."""
    shown = {
        "holds": verified.holds,
        "entries": verified.entries,
        "waiting": verified.waiting,
        "findings": [_finding(one) for one in verified.findings],
        "compared": None if verified.comparison is None else _comparison(verified.comparison),
        "checkpoint": checkpoint_on_the_wire(verified.log),
    }
    return dict(VerifyOutput(shown).data)


def _finding(finding: TreeFinding) -> dict[str, Any]:
    return {"entry": finding.index, "what": finding.what}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    proof = [b64encode(one).decode() for one in comparison.proof]
    return {"fit": comparison.fit, "size": comparison.size, "proof": proof}
