"""A server of one page on this machine, which answers only that page.

class Handler(serving.Handler):
    policy = "default-src 'none'; .."
    def get(self): ..
    def post(self): ..

run(listen(Handler, "127.0.0.1", 8047, journal=journal), announce=print)
"""

import json
import socket
import sys
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rdc_jax.errors import RdcError
from rdc_jax.web import addresses

JSON = "application/json"
GONE = (ConnectionError, TimeoutError)  # raised when a client has gone away


class Handler(BaseHTTPRequestHandler):
    """Handles one request; subclasses answer their own page in `get` and `post`.

    Refused requests and exceptions are answered with {"error": line}.

    Attributes:
        policy: Content-Security-Policy of every answer.
        bound: The address that the server listens at.
        timeout: Seconds that a client may be silent.
    """

    policy: str
    bound: str
    timeout = 60

    def do_GET(self) -> None:
        self._if_own(self.get)

    def do_POST(self) -> None:
        self._if_own(self.post)

    def _if_own(self, answer: Callable[[], None]) -> None:
        """Answers only the own page: an RdcError in one line, a bug with a traceback here."""
        if not addresses.is_own(self.headers, self.bound, self.server.server_port):
            return self.fail(403, "only for the page of this server")
        try:
            return answer()
        except RdcError as error:
            return self.fail(422, " ".join(str(error).split()))
        except GONE:
            self.close_connection = True
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            return self.fail(500, f"this failed ({type(error).__name__}); see the terminal")

    def body(self, kind: str, limit: int) -> bytes | None:
        """The body of this Content-Type with at most `limit` bytes; None if it was refused."""
        if self.headers.get("Content-Type") != kind:  # a form of another site cannot send this type
            return self.fail(415, f"{self.path} takes {kind}")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            return self.fail(411, "the request has no length")
        if len(length) > 12 or int(length) > limit:
            most = f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit} bytes"
            return self.fail(413, f"the upload is larger than {most}")
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else self.fail(400, "the request ended early")

    def json_body(self, limit: int) -> dict[str, Any] | None:
        """The JSON object of at most `limit` bytes in the body; None if it was refused."""
        body = self.body(JSON, limit)
        if body is None:
            return None
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            asked = None
        return asked if isinstance(asked, dict) else self.fail(400, "this is not a JSON object")

    def fail(self, status: int, line: str) -> None:
        """Answers with an error and closes the connection."""
        self.close_connection = True
        self.send(status, json.dumps({"error": line}).encode(), JSON)

    def send_json(self, content: dict[str, Any]) -> None:
        """Answers with a JSON object."""
        self.send(200, json.dumps(content).encode(), JSON)

    def send(self, status: int, body: bytes, kind: str, **more: str) -> None:
        """Sends an answer.

        Args:
            status: HTTP status.
            body: The body.
            kind: Its Content-Type.
            **more: Further headers, with _ for -.
        """
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": self.policy,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Prints nothing: the terminal shows only the address."""


def listen(handler: type[Handler], host: str, port: int, **fields: Any) -> ThreadingHTTPServer:
    """The server, bound and not yet running.

    Args:
        handler: Class of the handler.
        host: The address to listen at.
        port: The port; 0 takes a free one.
        **fields: Attributes of the handler for this server.

    Raises:
        RdcError: The address is not available.
    """

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, request, client_address):
            if not isinstance(sys.exception(), GONE):
                super().handle_error(request, client_address)

    try:
        return Server((host, port), type("Handler", (handler,), fields | {"bound": host}))
    except (OSError, OverflowError, TypeError, UnicodeError) as error:
        raise RdcError(
            f"cannot listen at {host} port {port} ({error}); choose another address or port"
        ) from None


def run(server: ThreadingHTTPServer, announce: Callable[[str], None]) -> None:
    """Serves until Ctrl-C; announce receives the address of the page."""
    with server:
        host = server.RequestHandlerClass.bound
        shown = "127.0.0.1" if host in addresses.WILDCARDS else host
        try:
            announce(f"http://{addresses.bracketed(shown)}:{server.server_port}/")
            server.serve_forever()
        except KeyboardInterrupt:
            pass
