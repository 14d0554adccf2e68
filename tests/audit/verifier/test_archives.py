"""An archive has one form. Whatever a zip can hide in another one is refused, and nothing it says is believed."""

import io
import struct
import zipfile
import zlib
from typing import Any

import pytest

from backend.audit import verifier
from tests.factories.bundles import archive, members_of

VIEWS = {"views/entries.csv": b"index,action\n0,key.created\n"}


@pytest.fixture
def members(log):
    """Everything a bundle can hold."""
    return members_of(log.bundle(views=VIEWS))


def set_to(**changes):
    def change(info):
        for name, value in changes.items():
            setattr(info, name, value)

    return change


DESCRIPTIONS = {
    "another date": set_to(date_time=(1980, 1, 1, 0, 0, 2)),
    "the date of today": set_to(date_time=(2026, 10, 14, 10, 0, 0)),
    "other rights": set_to(external_attr=0o100600 << 16),
    "no rights": set_to(external_attr=0),
    "made on DOS": set_to(create_system=0),
    "a comment on a member": set_to(comment=b"hello"),
    "an extra field": set_to(extra=b"\x55\x54\x05\x00\x01\x00\x00\x00\x00"),
    "an empty extra field": set_to(extra=b"\xfe\xca\x00\x00"),
    "internal attributes": set_to(internal_attr=1),
    "another version": set_to(create_version=63),
    "another version to unpack": set_to(extract_version=10),
    "everything deflated": set_to(compress_type=zipfile.ZIP_DEFLATED),
    "the tables deflated": lambda info: info.filename.startswith("views/") and set_to(compress_type=8)(info),
    "everything in LZMA": set_to(compress_type=zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("change", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_members_described_in_another_way_are_refused(desk, members, change):
    answer = desk.ask(archive(members, change=change))

    assert (answer.code, answer.findings) == (1, {"archive"})


def test_the_archive_as_it_has_to_be_is_valid(desk, members):
    assert desk.ask(archive(members)).code == 0


def test_something_before_between_or_behind_the_members_is_refused(desk, members):
    whole = archive(members)
    second = whole.index(b"PK\x03\x04", 4)
    directory = whole.index(b"PK\x01\x02")
    wrong = {
        "before": b"#!/bin/sh\n" + whole,
        "between": whole[:second] + b"hidden" + whole[second:],
        "before the directory": whole[:directory] + b"hidden" + whole[directory:],
        "behind": whole + b"hidden",
        "a line end behind": whole + b"\n",
        "a comment": archive(members, comment=b"hidden"),
        "a second end": whole + whole[-22:],
        "another archive behind it": whole + whole,
    }

    for name, body in wrong.items():
        answer = desk.ask(body)
        assert (name, answer.code) == (name, 1)


def test_a_gap_before_a_directory_that_allows_for_it_is_refused(desk, members):
    whole = archive(members)
    *numbers, start, comment = struct.unpack("<4s4H2IH", whole[-22:])
    end = struct.pack("<4s4H2IH", *numbers, start + 6, comment)

    assert desk.ask(whole[:start] + b"hidden" + whole[start:-22] + end).code == 1


def test_offsets_moved_along_with_a_prefix_are_refused(desk, members):
    out = io.BytesIO(b"prefix")
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a") as file, zipfile.ZipFile(io.BytesIO(archive(members))) as source:
        for info in source.infolist():
            file.writestr(info, source.read(info))

    assert desk.ask(out.getvalue()).code == 1


@pytest.mark.parametrize("at", range(1, 22))
def test_a_wrong_number_at_the_end_is_refused(desk, log, at):
    whole = bytearray(log.bundle())
    whole[-at] ^= 1

    assert desk.ask(bytes(whole)).code == 1


def test_every_flipped_byte_of_the_archive_is_found(desk, log):
    whole = log.bundle(views=VIEWS)

    for at in range(0, len(whole), 13):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        assert desk.ask(bytes(changed)).code in ({1} if at >= 36 else {1, 2}), at


def test_every_truncation_is_found(desk, log):
    whole = log.bundle()

    for length in range(0, len(whole), 61):
        assert desk.ask(whole[:length]).code == (2 if length < 36 else 1)


def resigned(log, members):
    return log.bundle({name: body for name, body in members.items() if name != "manifest"})


def renamed(members, old, new):
    return {new if name == old else name: body for name, body in members.items()}


NAMES = {
    "capitals": "TILE/0/000.p/15",
    "a backslash": "tile\\0\\000.p\\15",
    "a dot": "./tile/0/000.p/15",
    "a slash": "/tile/0/000.p/15",
    "two slashes": "tile//0/000.p/15",
    "up and down": "tile/0/../0/000.p/15",
    "a folder": "tile/0/000.p/15/",
    "no group of three": "tile/0/0.p/15",
    "an x too many": "tile/0/x000/000.p/15",
    "another width": "tile/0/000.p/16",
    "no width": "tile/0/000",
    "other digits": "tile/0/000.p/١٥",
    "a letter that looks the same": "tilе/0/000.p/15",
    "a long name": "tile/0/" + "0" * 60_000,
    "no name": "",
    "a control character": "tile/0/000.p/15\n",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_member_of_another_name_is_refused(desk, log, members, name):
    known = next(one for one in members if one.startswith("tile/0/"))

    answer = desk.ask(resigned(log, renamed(members, known, name)))

    assert answer.code == 1
    assert answer.findings <= {"members", "archive"}


def test_a_member_too_many_is_refused_wherever_it_stands(desk, log):
    members = log.members(views=VIEWS)
    names = list(members)

    for at in range(len(names) + 1):
        for extra in ("extra", "tile/extra", "views/extra.csv", "views/", "zzz"):
            pairs = [(name, members[name]) for name in names]
            pairs.insert(at, (extra, b"hello"))
            assert desk.ask(log.bundle(dict(pairs))).code in ({1} if at else {1, 2})
    signed = {**members, "manifest": log.manifest(members)}
    assert desk.ask(archive({**signed, "extra": b"hello"})).code == 1


def test_a_member_missing_is_refused(desk, log):
    members = log.members()
    optional = {"meta", "keys"}

    for name in members:
        kept = {other: body for other, body in members.items() if other != name}
        answer = desk.ask(log.bundle(kept))
        assert answer.code == (2 if name == "policy" and not answer.findings & {"members"} else 1)
    for folder in optional:
        kept = {name: body for name, body in members.items() if not name.startswith(f"{folder}/")}
        assert desk.ask(log.bundle(kept)).code == 0


def test_members_in_another_order_are_refused(desk, log):
    members = log.members(views={**VIEWS, "views/audit_event.ndjson": b"{}\n"})
    names = list(members)

    for at in range(len(names) - 1):
        order = [*names[:at], names[at + 1], names[at], *names[at + 2 :]]
        answer = desk.ask(log.bundle({name: members[name] for name in order}))
        assert answer.code == 1


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice_is_refused(desk, log):
    members = log.members()
    signed = {**members, "manifest": log.manifest(members)}
    pairs = list(signed.items())

    for at, (name, body) in enumerate(pairs):
        twice = [*pairs[: at + 1], (name, body), *pairs[at + 1 :]]
        assert desk.ask(archive(twice)).code == 1
        elsewhere = [*pairs, (name, body)]
        assert desk.ask(archive(elsewhere)).code == 1


def test_two_members_on_the_same_bytes_are_refused(desk, members):
    whole = archive(members)
    directory = whole.index(b"PK\x01\x02")
    second = whole.index(b"PK\x01\x02", directory + 4)
    changed = bytearray(whole)
    # The second entry of the directory points to where the first one does.
    changed[second + 42 : second + 46] = bytes(4)

    assert desk.ask(bytes(changed)).code == 1


def test_sizes_that_lie_are_refused(desk, log):
    whole = log.bundle()
    directory = whole.index(b"PK\x01\x02")

    for offset in (16, 20, 24, 28, 30, 32, 42):
        for value in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x01\x00\x00\x80"):
            changed = bytearray(whole)
            changed[directory + offset : directory + offset + len(value)] = value
            if changed != whole:
                assert desk.ask(bytes(changed)).code == 1


def test_a_checksum_that_is_wrong_in_both_places_is_refused(desk, log):
    members = log.members()
    whole = archive({**members, "manifest": log.manifest(members)})

    for body in members.values():
        right, wrong = zlib.crc32(body).to_bytes(4, "little"), bytes(4)
        answer = desk.ask(whole.replace(right, wrong))
        assert (answer.code, answer.findings) == (1, {"archive"})


def test_zip64_where_nothing_asks_for_it_is_refused(desk, members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, body in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr, info.create_system = 0o100644 << 16, 3
            with file.open(info, "w", force_zip64=True) as member:
                member.write(body)

    assert desk.ask(out.getvalue()).findings == {"archive"}


def test_a_zip64_end_where_nothing_asks_for_it_is_refused(desk, members):
    whole = archive(members)
    *_, count, length, start, _ = struct.unpack("<4s4H2IH", whole[-22:])
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, start + length, 1)

    assert desk.ask(whole[:-22] + record + locator + whole[-22:]).code == 1
    huge = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1)
    assert desk.ask(whole[:-22] + huge + locator + whole[-22:]).code == 1


def test_data_descriptors_are_refused(desk, members):
    class OneWay(io.RawIOBase):
        """Something that can not be wound back, as a network connection."""

        def __init__(self):
            super().__init__()
            self.out = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.out += data
            return len(data)

    out = OneWay()
    with zipfile.ZipFile(out, "w") as file:
        for name, body in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr, info.create_system = 0o100644 << 16, 3
            file.writestr(info, body)

    assert desk.ask(bytes(out.out)).findings == {"archive"}


# --------------------------------------------------------------------------------------------- large archives, ZIP64


def described(name, size, at):
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.external_attr, info.create_system, info.CRC = 0o100644 << 16, 3, 7
    info.file_size = info.compress_size = size
    info.header_offset = at
    return info


class Far(io.BytesIO):
    """A file whose beginning is somewhere else."""

    start = 0

    def tell(self):
        return super().tell() + self.start


def directory_of(infos, at):
    """What Python's zipfile writes at the end of an archive whose members are too large for a test."""
    out = Far()
    file: Any = zipfile.ZipFile(out, "w")
    file.filelist, file.start_dir, out.start = infos, at, at
    file._write_end_record()  # noqa: SLF001 - nothing public does this without the members
    file.fp = None
    return out.getvalue()


@pytest.mark.parametrize("at", [0, 2**31 - 1, 2**31, 2**32, 2**40])
@pytest.mark.parametrize("size", [100, 2**31 - 1, 2**31, 2**33])
def test_large_members_are_described_as_pythons_zipfile_does(at, size):
    member = verifier.Member("tile/entries/000", 7, size, size, at)
    info = described(member.name, size, at)

    local = info.FileHeader()
    assert member.local_header() == local
    assert member.content_at == at + len(local)
    assert directory_of([info], 0).startswith(member.central_header())


@pytest.mark.parametrize("size", [2**31 - 100, 2**31, 2**32 + 5])
def test_an_archive_beyond_two_gibibytes_is_read(tmp_path, size):
    names = [("policy", size), ("checkpoint", 5), ("manifest", 7)]
    path, at, infos = tmp_path / "large.zip", 0, []
    # A hole in the file: it takes no place on the disk.
    with path.open("wb") as file:
        for name, length in names:
            infos.append(described(name, length, at))
            header = infos[-1].FileHeader()
            file.seek(at)
            file.write(header)
            at += len(header) + length
        file.seek(at)
        file.write(directory_of(infos, at))

    with path.open("rb", buffering=0) as file:
        archive = verifier.Archive(file)
        archive.open_directory()
        found = [(member.name, member.size) for member in archive.members()]

    assert found == names


def test_an_archive_of_very_many_members_is_read(tmp_path):
    path, at, infos, pieces = tmp_path / "many.zip", 0, [], []
    for number in range(65_536):
        infos.append(described(f"tile/0/{number}", 0, at))
        pieces.append(infos[-1].FileHeader())
        at += len(pieces[-1])
    path.write_bytes(b"".join(pieces) + directory_of(infos, at))

    with path.open("rb", buffering=0) as file:
        archive = verifier.Archive(file)
        archive.open_directory()
        assert sum(1 for _ in archive.members()) == 65_536
