"""Mail as mail servers send it back: delivery status notifications and complaints, about a mail that was received."""

import base64
from email import message_from_bytes

from sandbox import Received

STATUS = """Reporting-MTA: dns; mx.example.org
X-Postfix-Queue-ID: 4F2A5C0012
Arrival-Date: Wed, 14 Oct 2026 10:00:00 +0200 (CEST)

Final-Recipient: rfc822; {to}
Original-Recipient: rfc822;{to}
Action: {action}
Status: {status}
Remote-MTA: dns; mail.example.net
Diagnostic-Code: smtp; 550 {status} <{to}>: no such user here
"""


def head_of(received: Received) -> str:
    """The headers of a mail, as they come back."""
    return received.raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode()


def bounce(
    received: Received,
    *,
    status: str = "5.1.1",
    action: str = "failed",
    to: str | None = None,
    back: str | None = None,
    encoded: bool = False,
    line_end: str = "\n",
) -> bytes:
    """As Postfix returns it: what happened in words, the status, and the headers of the mail."""
    told = STATUS.format(to=received.to, action=action, status=status)
    if encoded:
        told = "\n" + base64.encodebytes(told.encode()).decode()
    text = f"""Return-Path: <>
Received: by mx.example.org (Postfix) id 4F2A5C0012; Wed, 14 Oct 2026 10:00:01 +0200 (CEST)
Date: Wed, 14 Oct 2026 10:00:01 +0200 (CEST)
From: MAILER-DAEMON@mx.example.org (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {received.payload["mail_from"] if to is None else to}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="4F2A5C0012.1792000000/mx.example.org"
Message-Id: <20261014080001.4F2A5C0012@mx.example.org>

This is a MIME-encapsulated message.

--4F2A5C0012.1792000000/mx.example.org
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.org.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

--4F2A5C0012.1792000000/mx.example.org
Content-Description: Delivery report
Content-Type: message/delivery-status
{"Content-Transfer-Encoding: base64" if encoded else "X-Nothing: here"}

{told}
--4F2A5C0012.1792000000/mx.example.org
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

{head_of(received) if back is None else back}

--4F2A5C0012.1792000000/mx.example.org--
"""
    return text.replace("\n", line_end).encode()


def complaint(received: Received, *, kind: str = "abuse", back: str | None = None) -> bytes:
    """As in RFC 5965, appendix B.2; some mailbox providers leave the whole mail in, some its headers."""
    original = received.raw.decode().replace("\r\n", "\n") if back is None else back
    return f"""From: <abusedesk@example.com>
Date: Wed, 14 Oct 2026 17:40:36 -0400
Subject: FW: a mail
To: <abuse@example.net>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report;
     boundary="part1_13d.2e68ed54_boundary"

--part1_13d.2e68ed54_boundary
Content-Type: text/plain; charset="US-ASCII"
Content-Transfer-Encoding: 7bit

This is an email abuse report for an email message received from IP 192.0.2.1.

--part1_13d.2e68ed54_boundary
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Reported-Domain: example.net

--part1_13d.2e68ed54_boundary
Content-Type: message/rfc822
Content-Disposition: inline

{original}
--part1_13d.2e68ed54_boundary--
""".encode()


def is_well_formed(mail: bytes) -> bool:
    """Does the standard library, which knows the whole of MIME, see a report of three parts in it?"""
    parsed = message_from_bytes(mail)
    return parsed.get_content_type() == "multipart/report" and len(parsed.get_payload()) == 3
