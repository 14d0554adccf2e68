"""Audit bundles made up from the format's page alone: no product code, no Django, nothing of the verifier.

A second reading of `docs/reference/audit-bundle.md`: where the product's writer and this one agree, it says enough.
Everything is deterministic: the same story gives the same bytes.
"""

import base64
import hashlib
import hmac
import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

START = 1_791_964_800_000_000
WIDTH = 256


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def lp(*items: bytes) -> bytes:
    return b"".join(len(item).to_bytes(4, "big") + item for item in items)


# ------------------------------------------------------------------------------------------------------- the tree


def many_of(leaves: Sequence[bytes], how_many: int) -> list[bytes]:
    """The same entries over and over, each under an id of its own: quickly made, and not to be opened by any key."""
    return [
        re.sub(rb'"id":"[0-9a-f-]{36}"', b'"id":"%s"' % str(UUID(int=number + 1)).encode(), leaf, count=1)
        for number, leaf in zip(range(how_many), cycle(leaves), strict=False)
    ]


def hash_of_leaf(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The recursive definition of RFC 6962, 2.1, as it stands there."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root_of(hashes[:half]) + root_of(hashes[half:])).digest()


def tile_path(number: int, width: int) -> str:
    digits = f"{number:d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return name if width == WIDTH else f"{name}.p/{width}"


def tiles_of(leaves: Sequence[bytes] | None, hashes: Sequence[bytes]) -> dict[str, bytes]:
    """Entry bundles and hash tiles in the order in which they become complete, the incomplete ones at the end."""
    levels = [list(hashes)]
    while len(levels[-1]) >= WIDTH:
        below = levels[-1]
        levels.append([root_of(below[at : at + WIDTH]) for at in range(0, len(below) - WIDTH + 1, WIDTH)])
    placed: list[tuple[tuple[int, int, int], str, bytes]] = []
    for level, nodes in enumerate(levels):
        for number in range(-(-len(nodes) // WIDTH)):
            piece = nodes[number * WIDTH : (number + 1) * WIDTH]
            path = tile_path(number, len(piece))
            # A complete tile stands behind the last entry it covers; an incomplete one of a higher level at the end.
            is_late = level > 0 and len(piece) < WIDTH
            covered = len(hashes) if is_late else min((number + 1) * WIDTH ** (level + 1), len(hashes))
            if level == 0 and leaves is not None:
                body = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves[number * WIDTH :][: len(piece)])
                placed.append(((covered, 0, -1), f"tile/entries/{path}", body))
            placed.append(((covered, int(is_late), level), f"tile/{level}/{path}", b"".join(piece)))
    return {name: body for _, name, body in sorted(placed, key=lambda one: one[0])}


# ------------------------------------------------------------------------------------------------------- the notes


@dataclass(frozen=True, slots=True)
class Signer:
    """A log's name and key."""

    name: str
    key: Ed25519PrivateKey

    @classmethod
    def made_from(cls, name: str, seed: str) -> "Signer":
        return cls(name, Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest()))

    @property
    def material(self) -> bytes:
        return b"\x01" + self.key.public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + self.material).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64(self.material)}"

    def line(self, text: bytes) -> bytes:
        return f"— {self.name} {b64(self.key_id + self.key.sign(text))}\n".encode()

    def note(self, text: bytes) -> bytes:
        return text + b"\n" + self.line(text)

    def checkpoint(self, hashes: Sequence[bytes]) -> bytes:
        return self.note(f"{self.name}\n{len(hashes)}\n{b64(root_of(hashes))}\n".encode())


# ------------------------------------------------------------------------------------------------- HPKE (RFC 9180)


def hkdf_extract(salt: bytes, material: bytes) -> bytes:
    return hmac.new(salt or bytes(32), material, hashlib.sha256).digest()


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    out, block = b"", b""
    while len(out) < length:
        block = hmac.new(key, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:length]


def hpke_seal(recipient: X25519PublicKey, plain: bytes, *, info: bytes, seed: bytes) -> bytes:
    """DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode, no AAD; sections 4.1 and 5.1 by hand."""

    def extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
        return hkdf_extract(salt, b"HPKE-v1" + suite + label + material)

    def expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
        return hkdf_expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)

    ephemeral = X25519PrivateKey.from_private_bytes(seed)
    encapsulated = ephemeral.public_key().public_bytes_raw()
    kem = b"KEM\x00\x20"
    pseudo = extract(kem, b"", b"eae_prk", ephemeral.exchange(recipient))
    context = encapsulated + recipient.public_bytes_raw()
    shared = expand(kem, pseudo, b"shared_secret", context, 32)
    suite = b"HPKE\x00\x20\x00\x01\x00\x02"
    schedule = b"\x00" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared, b"secret", b"")
    key, nonce = expand(suite, secret, b"key", schedule, 32), expand(suite, secret, b"base_nonce", schedule, 12)
    return encapsulated + AESGCM(key).encrypt(nonce, plain, b"")


# -------------------------------------------------------------------------------------------------- keys and entries


@dataclass(frozen=True, slots=True)
class KeyInTest:
    """A data key."""

    id: UUID
    secret: bytes

    @property
    def commitment(self) -> str:
        return hkdf_expand(hkdf_extract(b"", self.secret), b"commit-v1", 32)[:16].hex()


@dataclass(frozen=True, slots=True)
class PersonInTest:
    """A patient with the keys of the profile and of the log."""

    id: UUID
    profile: KeyInTest
    audit: KeyInTest


def padded(plain: bytes) -> bytes:
    return plain + b"\x80" + b"\x00" * (-(len(plain) + 1) % 64)


@dataclass
class LogInTest:
    """A clinic's log, with all secrets of those who keep it."""

    seed: str = "northgate"
    clinic: str = ""
    leaves: list[bytes] = field(default_factory=list)
    meta_leaves: list[bytes] = field(default_factory=list)
    own: list[tuple[int, int, bytes]] = field(default_factory=list)
    destroyed: set[UUID] = field(default_factory=set)
    keys: list[KeyInTest] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a test wants the same bytes each time
        self.clinic = self.clinic or str(self.uuid())
        self.signer = Signer.made_from(f"accord/audit/{self.uuid()}", self.seed)
        self.meta_signer = Signer.made_from(f"accord/audit/{self.uuid()}", f"{self.seed} meta")
        self.dpo = X25519PrivateKey.from_private_bytes(self.random.randbytes(32))
        self.clinic_key = self.new_key()
        self.announce([self.clinic_key])

    def uuid(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def new_key(self) -> KeyInTest:
        return KeyInTest(self.uuid(), self.random.randbytes(32))

    # ---------------------------------------------------------------------------------------------------- entries

    def header(self, action: str, **other: object) -> dict[str, object]:
        return {
            "v": 1,
            "id": str(self.uuid()),
            "t": START + 1_000_000 * len(self.leaves),
            "tn": self.clinic,
            "a": action,
            "o": "ok",
            "ac": "svc:delivery",
            "ot": action.partition(".")[0],
            "ks": 1,
        } | other

    def leaf(self, header: bytes, parts: Iterable[tuple[KeyInTest, bytes]]) -> bytes:
        """A leaf of these header bytes and these plaintexts, each padded or not as it is handed over."""
        framed = b"\x01" + lp(header)
        sealed = []
        for index, (key, plain) in enumerate(parts):
            nonce = self.random.randbytes(12)
            bound = lp(b"audit-part-v1", framed, bytes([index]), key.id.bytes)
            sealed.append(key.id.bytes + nonce + lp(AESGCM(key.secret).encrypt(nonce, plain, bound)))
        return framed + bytes([len(sealed)]) + b"".join(sealed)

    def record(
        self,
        action: str,
        details: dict[str, object],
        *,
        about: Sequence[PersonInTest] = (),
        by: UUID | None = None,
        key: KeyInTest | None = None,
        **header: object,
    ) -> int:
        """Add an entry; its index."""
        actor: dict[str, object] = {} if by is None else {"by": str(by)}
        head = self.header(action, **header)
        if about:
            parts = [(person.audit, {"d": details, "s": str(person.id)} | actor) for person in about]
        else:
            parts = [(key or self.clinic_key, {"d": details} | actor)]
        self.ids.append(str(head["id"]))
        self.leaves.append(self.leaf(canonical(head), [(one, padded(canonical(content))) for one, content in parts]))
        return len(self.leaves) - 1

    def announce(self, keys: Sequence[KeyInTest], *, commitments: Sequence[str] | None = None) -> int:
        self.keys += [key for key in keys if key not in self.keys]
        details: dict[str, object] = {
            "count": len(keys),
            "keys": [str(key.id) for key in keys],
            "scopes": ["audit"],
            "commitments": list(commitments or [key.commitment for key in keys]),
        }
        return self.record("key.created", details)

    def enter(self) -> PersonInTest:
        """A new patient."""
        person = PersonInTest(self.uuid(), self.new_key(), self.new_key())
        self.announce([person.profile, person.audit])
        self.record("patient.created", {"source": "fhir"}, about=[person])
        return person

    def read(self, *about: PersonInTest) -> int:
        return self.record("patient.read", {"reason": "care"}, about=about, ac="u:5f0c9a3e")

    def erase(self, person: PersonInTest) -> int:
        keys = [person.profile.id, person.audit.id]
        self.destroyed.update(keys)
        return self.record("key.destroyed", {"keys": [str(one) for one in keys], "reason": "erasure"})

    def define(self, purpose: str, nature: str) -> int:
        return self.record("purpose.defined", {"purpose": purpose, "nature": nature})

    def _decide(self, kind: str, person: PersonInTest, purpose: str, channel: str, **other: object) -> str:
        event = str(self.uuid())
        details: dict[str, object] = {"purpose": purpose, "channel": channel, "method": "app", "event": event} | other
        self.record(f"consent.{kind}", details, about=[person], by=person.id, ac="p")
        return event

    def give(self, person: PersonInTest, purpose: str = "recall", channel: str = "sms") -> str:
        return self._decide("given", person, purpose, channel, notice_version=1)

    def refuse(self, person: PersonInTest, purpose: str = "recall", channel: str = "sms") -> str:
        return self._decide("refused", person, purpose, channel, notice_version=1)

    def withdraw(self, person: PersonInTest, purpose: str = "recall", channel: str = "sms") -> str:
        return self._decide("withdrawn", person, purpose, channel)

    def claim(self, person: PersonInTest, purpose: str = "recall", channel: str = "sms") -> dict[str, object]:
        """Take a message up; what its hand-over has to repeat."""
        attempt: dict[str, object] = {
            "message": str(self.uuid()),
            "attempt": str(self.uuid()),
            "purpose": purpose,
            "channel": channel,
        }
        self.record("message.claimed", attempt, about=[person])
        return attempt

    def hand_over(self, person: PersonInTest, attempt: dict[str, object], consent_event: str) -> int:
        more: dict[str, object] = {
            "carrier": "twilio",
            "consent_event": consent_event,
            "template_version": str(self.uuid()),
            "rules": "2026-10-01",
        }
        return self.record("message.handed_over", attempt | more, about=[person])

    def message(self, person: PersonInTest, event: str, purpose: str = "recall", channel: str = "sms") -> int:
        """Take a message up and hand it over."""
        return self.hand_over(person, self.claim(person, purpose, channel), event)

    # ---------------------------------------------------------------------------------------------------- the tree

    @property
    def hashes(self) -> list[bytes]:
        return [hash_of_leaf(leaf) for leaf in self.leaves]

    def checkpoint(self, size: int | None = None) -> bytes:
        return self.signer.checkpoint(self.hashes[:size])

    def meta_checkpoint(self, size: int | None = None) -> bytes:
        return self.meta_signer.checkpoint([hash_of_leaf(leaf) for leaf in self.meta_leaves[:size]])

    def sign_into_meta(self, *, others: int = 0) -> None:
        """Put the checkpoint of now into the meta-log, and some of other clinics behind it."""
        root = root_of(self.hashes)
        self.own.append((len(self.meta_leaves), len(self.leaves), root))
        self.meta_leaves.append(f"{self.signer.name}\n{len(self.leaves)}\n{b64(root)}\n".encode())
        for _ in range(others):
            size, foreign = self.random.randrange(1, 9), b64(self.random.randbytes(32))
            self.meta_leaves.append(f"accord/audit/{self.uuid()}\n{size}\n{foreign}\n".encode())

    # -------------------------------------------------------------------------------------------------- the bundle

    def private_key(self) -> bytes:
        """The data protection officer's key, as `openssl genpkey -algorithm X25519` writes it."""
        return self.dpo.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def policy(self) -> bytes:
        return f"log {self.signer.vkey}\nlog {self.meta_signer.vkey}\nquorum none\n".encode()

    def members(
        self,
        *,
        released: Sequence[KeyInTest] | None = None,
        with_keys: bool = True,
        views: dict[str, bytes] | None = None,
        hashes: Sequence[bytes] | None = None,
    ) -> dict[str, bytes]:
        """All members but the manifest."""
        hashes = self.hashes if hashes is None else hashes
        found = {"policy": self.policy(), "checkpoint": self.signer.checkpoint(hashes)}
        found |= tiles_of(self.leaves, hashes)
        if self.meta_leaves:
            tiles = tiles_of(None, [hash_of_leaf(leaf) for leaf in self.meta_leaves])
            found["meta/checkpoint"] = self.meta_checkpoint()
            found |= {f"meta/{name}": body for name, body in tiles.items() if name.startswith("tile/0/")}
            found["meta/own"] = b"".join(f"{at} {size} {b64(root)}\n".encode() for at, size, root in self.own)
        if with_keys:
            living = [key for key in self.keys if key.id not in self.destroyed]
            found |= self.sealed_keys(living if released is None else released)
        return found | (views or {})

    def sealed_keys(self, released: Sequence[KeyInTest]) -> dict[str, bytes]:
        bundle_key = self.random.randbytes(32)
        info = f"accord-audit-bundle/v1 keys {self.signer.name}".encode()
        sealed = hpke_seal(self.dpo.public_key(), bundle_key, info=info, seed=self.random.randbytes(32))
        recipient = {
            "v": 1,
            "suite": "hpke-x25519-hkdf-sha256-aes-256-gcm",
            "recipient": hashlib.sha256(self.dpo.public_key().public_bytes_raw()).hexdigest(),
            "sealed": b64(sealed),
        }
        lines = []
        for key in released:
            nonce = self.random.randbytes(12)
            body = nonce + AESGCM(bundle_key).encrypt(nonce, key.secret, lp(b"bundle-key-v1", key.id.bytes))
            lines.append(canonical({"id": str(key.id), "sealed": b64(body)}) + b"\n")
        return {"keys/recipient": canonical(recipient), "keys/keys.ndjson": b"".join(lines)}

    def manifest(self, members: dict[str, bytes], *, size: int | None = None) -> bytes:
        head = (
            f"accord-audit-bundle/v1\norigin {self.signer.name}\nclinic {self.clinic}\n"
            f"size {len(self.leaves) if size is None else size}\nmade-at {START}\n"
        )
        lines = [f"{hashlib.sha256(body).hexdigest()} {len(body)} {name}\n" for name, body in members.items()]
        return self.signer.note((head + "".join(lines)).encode())

    def bundle(
        self,
        members: dict[str, bytes] | None = None,
        *,
        released: Sequence[KeyInTest] | None = None,
        with_keys: bool = True,
        views: dict[str, bytes] | None = None,
    ) -> bytes:
        """The archive; of these members, or of what the log holds."""
        found = self.members(released=released, with_keys=with_keys, views=views) if members is None else members
        return archive({**found, "manifest": self.manifest(found)})


# ---------------------------------------------------------------------------------------------------------- the zip


def archive(
    members: dict[str, bytes] | Iterable[tuple[str, bytes]],
    *,
    change: Callable[[zipfile.ZipInfo], None] = lambda _info: None,
    comment: bytes = b"",
) -> bytes:
    """The canonical zip of these members, but for what `change` does to the description of each."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, body in members.items() if isinstance(members, dict) else members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr, info.create_system = 0o100644 << 16, 3
            info.compress_type = zipfile.ZIP_STORED
            change(info)
            file.writestr(info, body)
        file.comment = comment
    return out.getvalue()


def members_of(bundle: bytes) -> dict[str, bytes]:
    """What a zip holds, read by somebody else than the verifier."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as file:
        return {name: file.read(name) for name in file.namelist()}


def entries_of(body: bytes) -> list[bytes]:
    """The leaves of an entry bundle."""
    leaves, at = [], 0
    while at < len(body):
        length = int.from_bytes(body[at : at + 2], "big")
        leaves.append(body[at + 2 : at + 2 + length])
        at += 2 + length
    return leaves


def entry_bundle(leaves: Iterable[bytes]) -> bytes:
    """Leaves as an entry bundle."""
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)
