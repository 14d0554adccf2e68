"""Misbehaviour on request, so that tests can see what Accord does when a carrier fails."""

import threading
from collections import defaultdict, deque
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, get_args

ChannelName = Literal["sms", "email", "push"]
Step = Literal["send", "find", "token"]
FaultKind = Literal[
    "http_500",
    "rate_limited",
    "garbage",
    "reset",
    "hang",
    "slow",
    "accept_then_hang",
    "refuse_address",
    "unregistered",
    "auth",
    "report_first",
    "wrong_sender",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to misbehave, for the next `times` messages of a channel.

    | kind | sms | push | email |
    |---|---|---|---|
    | http_500 | 500, code 20500 | 500 INTERNAL | 451 after the data |
    | rate_limited | 429, code 20429 | 429 QUOTA_EXCEEDED | 450 to MAIL |
    | garbage | 201, not JSON | 200, not JSON | an answer without a code, after the data |
    | reset | the connection is reset once the whole message has been read; nothing is kept | | |
    | hang | no answer until the sandbox stops; nothing is kept | | |
    | slow | the right answer, after `seconds` | | |
    | accept_then_hang | the message is kept, and no answer comes until the sandbox stops | | |
    | refuse_address | 400, code 21211 | 400 INVALID_ARGUMENT | 550 5.1.1 to RCPT |
    | unregistered | 400, code 21610 | 404 UNREGISTERED | 550 5.2.1 to RCPT |
    | report_first | its reports are sent before the answer | the right answer | the right answer |
    | wrong_sender | the right answer | 403 SENDER_ID_MISMATCH | the right answer |
    | auth | 401, code 20003 | 401 UNAUTHENTICATED | 535 to AUTH, else 530 to MAIL |

    `on` says which call fails: `send`, `find` (Twilio's list and fetch) or `token` (FCM's token endpoint).
    `retry_after`, in seconds, becomes the Retry-After header. The FCM SDK asks for a new token after a 401 and repeats
    500 and 503 up to four times by itself: raise `times` accordingly.
    """

    channel: ChannelName
    kind: FaultKind
    times: int = 1
    retry_after: float | None = None
    seconds: float = 1.0
    on: Step = "send"

    def __post_init__(self) -> None:
        """Raise ValueError for a word that means nothing here: a fault that never happens would hide a bug."""
        for word, allowed in ((self.channel, ChannelName), (self.kind, FaultKind), (self.on, Step)):
            if word not in get_args(allowed):
                message = f"unknown word in a fault: {word}"
                raise ValueError(message)
        if self.times < 1:
            message = "a fault happens at least once"
            raise ValueError(message)


class Faults:
    """The faults still to come: one queue for each channel and step, shared by all server threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[tuple[str, str], deque[Fault]] = defaultdict(deque)

    def push(self, *faults: Fault) -> None:
        """Queue faults behind those already there."""
        with self._lock:
            for fault in faults:
                self._queues[fault.channel, fault.on].append(fault)

    def take(
        self, channel: ChannelName, *, on: Step = "send", kinds: Collection[FaultKind] | None = None
    ) -> Fault | None:
        """Use up one occurrence of the next fault; None when there is none, or when it is not one of `kinds`."""
        with self._lock:
            queue = self._queues[channel, on]
            if not queue or (kinds is not None and queue[0].kind not in kinds):
                return None
            fault = queue.popleft()
            if fault.times > 1:
                queue.appendleft(replace(fault, times=fault.times - 1))
            return fault

    def pending(self) -> tuple[Fault, ...]:
        """What has not happened yet, channel by channel; `times` is what is left of each."""
        with self._lock:
            return tuple(fault for queue in self._queues.values() for fault in queue)

    def clear(self) -> None:
        """Behave from now on."""
        with self._lock:
            self._queues.clear()
