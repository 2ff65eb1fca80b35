"""Mail servers for the tests, by aiosmtpd: three listeners on the loopback that keep every mail as a JSON file.

    smtp_server.py STATE ADDRESS

11025 in the clear; 11587 STARTTLS and signing in demanded; 11465 TLS from the beginning and signing in demanded. User watch,
password s3cret. nobody@example.com is unknown and later@example.com is put off. A mail appears in STATE/smtp under its final
name once it is whole.
"""

import json
import os
import signal
import ssl
import sys
import threading
import uuid

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

STATE, ADDRESS = sys.argv[1], sys.argv[2]
FOLDER = os.path.join(STATE, "smtp")


class Keep:
    """Takes mails for everybody but those whom it does not know, and writes each to a file of its own."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 nobody of this name is here"
        if address.startswith("later@"):
            return "450 4.2.0 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "content": envelope.content.decode("utf-8", "replace"),
        }
        name = os.path.join(FOLDER, uuid.uuid4().hex)
        with open(name + ".part", "w", encoding="utf-8") as file:
            json.dump(mail, file)
        os.rename(name + ".part", name + ".json")
        return "250 2.0.0 kept"


def known(server, session, envelope, mechanism, data):
    """Whether user and password are the ones; `data` is kept as who signed in."""
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"watch", b"s3cret")
    return AuthResult(success=good, handled=False, auth_data=data if good else None)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(STATE, "ca", "server.pem"), os.path.join(STATE, "ca", "server.key"))
    login = {"authenticator": known, "auth_required": True}
    listeners = [
        Controller(Keep(), hostname=ADDRESS, port=11025),
        Controller(Keep(), hostname=ADDRESS, port=11587, tls_context=context, require_starttls=True, **login),
        Controller(Keep(), hostname=ADDRESS, port=11465, ssl_context=context, auth_require_tls=False, **login),
    ]
    for listener in listeners:
        listener.start()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    for listener in listeners:
        listener.stop()


main()
