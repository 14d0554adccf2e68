"""The clients of the cast: rows are tried as patients, staff and officers would, through the API."""

from tests.api.conftest import (  # noqa: F401 - fixtures
    _nothing_counted_yet,
    _the_clock_shows_now,
    as_member,
    as_patient,
    desk,
    doctor,
    me,
    nobody,
    officer,
    patient_token,
    stranger,
)
