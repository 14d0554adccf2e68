import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from backend.patients.sources.fhir import FhirFolder, read_folder

Export = Callable[..., FhirFolder]


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Writes files of a bulk export and looks through them: a resource is a mapping, a line that is none is text."""

    def write(files: Mapping[str, list[Mapping[str, object] | str]], **options: object) -> FhirFolder:
        for name, lines in files.items():
            written = [line if isinstance(line, str) else json.dumps(line) for line in lines]
            (tmp_path / name).write_text("".join(line + "\n" for line in written), encoding="utf-8")
        return read_folder(tmp_path, **options)  # type: ignore[arg-type]

    return write
