"""The standard forms of an export: FHIR R4 and the Data Privacy Vocabulary, a JSON document to a line."""

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Final

import orjson

from backend.consent.export.reading import ToldConsent
from backend.consent.export.tables import Output
from backend.consent.standards.dpv import dpv_record
from backend.consent.standards.facts import ConsentRecord, Json
from backend.consent.standards.fhir import fhir_consents, fhir_provenance

CONSENT: Final = "fhir/Consent.ndjson"
PROVENANCE: Final = "fhir/Provenance.ndjson"
RECORD: Final = "dpv/ConsentRecord.ndjson"


class _LinesOutput(Output):
    """Files with a JSON document in each line. Each consent comes with its whole history, whatever the period."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._files: dict[str, IO[bytes]] = {}
        for name in names:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - the stack closes it
            self._files[name] = self.stack.enter_context(file)
            self.rows[name] = 0

    def add(self, told: ToldConsent) -> None:
        """The lines for one consent."""
        if told.record is not None:
            for name, document in self.documents(told.record):
                self._files[name].write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
                self.rows[name] += 1

    def documents(self, record: ConsentRecord) -> Iterator[tuple[str, Json]]:
        """What one consent is in this form."""
        raise NotImplementedError

    def files(self) -> Iterator[tuple[str, IO[bytes]]]:
        """The files."""
        yield from self._files.items()


class FhirOutput(_LinesOutput):
    """A Consent for each thing that was said, and a Provenance for each event (bulk data, one file per type)."""

    def __init__(self) -> None:
        super().__init__((CONSENT, PROVENANCE))

    def documents(self, record: ConsentRecord) -> Iterator[tuple[str, Json]]:
        """The resources of one consent."""
        for consent in fhir_consents(record):
            yield CONSENT, consent
        for event in record.events:
            yield PROVENANCE, fhir_provenance(record, event)


class DpvOutput(_LinesOutput):
    """A consent record after ISO/IEC TS 27560 for each consent, as JSON-LD."""

    def __init__(self) -> None:
        super().__init__((RECORD,))

    def documents(self, record: ConsentRecord) -> Iterator[tuple[str, Json]]:
        """The record of one consent."""
        yield RECORD, dpv_record(record)
