"""What clients sign in to the sandbox with. Made at the first start, kept, and worth nothing anywhere else."""

import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PROJECT_ID = "accord-sandbox"
CLIENT_EMAIL = "sandbox@accord-sandbox.example"
KEY_BITS = 2048


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """The account that the Twilio side knows."""

    sid: str
    auth_token: str


def twilio_account(data_dir: Path) -> TwilioAccount:
    """The account of this data folder; the first caller makes it."""
    path = data_dir / "sandbox.json"
    made = {"twilio_account_sid": f"AC{secrets.token_hex(16)}", "twilio_auth_token": secrets.token_hex(16)}
    kept = _read_or_make(path, json.dumps(made, indent=2))
    return TwilioAccount(sid=kept["twilio_account_sid"], auth_token=kept["twilio_auth_token"])


def service_account(data_dir: Path, *, token_uri: str) -> Path:
    """The service-account file of this data folder, pointing at `token_uri`; the first caller makes its key."""
    path = data_dir / "sandbox" / "fcm-credentials.json"
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        made = {
            "type": "service_account",
            "project_id": PROJECT_ID,
            "private_key_id": secrets.token_hex(20),
            "private_key": pem.decode("ascii"),
            "client_email": CLIENT_EMAIL,
            "client_id": "0",
            "token_uri": token_uri,
        }
        _read_or_make(path, json.dumps(made, indent=2))
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["token_uri"] != token_uri:
        _written_aside(path, json.dumps({**kept, "token_uri": token_uri}, indent=2)).replace(path)
    return path


def public_key_of(credentials: Path) -> rsa.RSAPublicKey:
    """The key that assertions made with this service-account file verify under."""
    kept = json.loads(credentials.read_text(encoding="utf-8"))
    key = serialization.load_pem_private_key(kept["private_key"].encode("ascii"), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        message = "the service-account file of the sandbox does not hold an RSA key"
        raise TypeError(message)
    return key.public_key()


def _read_or_make(path: Path, text: str) -> dict[str, str]:
    if not path.exists():
        aside = _written_aside(path, text)
        try:
            # A link fails when the file is there: two processes that start at once end up with the same credentials.
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def _written_aside(path: Path, text: str) -> Path:
    private = path.parent.name == "sandbox"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)
