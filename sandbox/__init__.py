"""A carrier that sends nothing: local SMTP, Twilio and FCM servers, and an inbox page that shows what they took."""

from sandbox.faults import Fault
from sandbox.servers import Sandbox
from sandbox.store import Received, Store

__all__ = ["Fault", "Received", "Sandbox", "Store"]
