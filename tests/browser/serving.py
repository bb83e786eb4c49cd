"""A small page server of its own origin, for tests in which a page sends to a node."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Pages:
    """What is served: text by path; everything else is the text of `/`."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, str]] = {"/": ("text/html", "<!doctype html><title>x</title>")}
        self.origin = ""


@contextmanager
def serving() -> Iterator[Pages]:
    pages = Pages()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = pages.files.get(self.path.partition("?")[0], pages.files["/"])
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pages.origin = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield pages
    finally:
        server.shutdown()
        server.server_close()
