"""The small senders for servers: a node that refuses at first gets every event, each under one id."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from node.sender import Sender

MODULE = Path(__file__).parents[3] / "node/client_js/sender.mjs"


class Door:
    """Answers 503 twice, then 202; remembers what it took."""

    def __init__(self) -> None:
        self.refusals, self.asked = 2, 0
        self.taken: list[dict[str, object]] = []
        self.withdrawn: list[dict[str, object]] = []
        self.url = ""


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            door.asked += 1
            assert self.headers["Authorization"] == "Bearer mw_x"
            answer: dict[str, object] = {}
            if door.asked > door.refusals and self.path == "/v1/consent":
                door.withdrawn += body if isinstance(body, list) else [body]
                assert not door.taken  # it must hold first
                answer = {"held": 1, "rejected": []}
            elif door.asked > door.refusals:
                door.taken += body
                answer = {"accepted": len(body) - 1, "filtered": {"no_consent": 1}, "rejected": []}
            content = json.dumps(answer).encode()
            self.send_response(503 if door.asked <= door.refusals else 202)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    door.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield door
    server.shutdown()
    server.server_close()


def check(door: Door, count: int) -> None:
    assert len(door.taken) == len({event["i"] for event in door.taken}) == count
    assert {(event["a"], event["n"], event["u"]) for event in door.taken} == {("shop", "buy", "u")}
    assert [one["withdraw"] for one in door.withdrawn] == [["analytics"], "all"]
    assert [one.get("user_id") or one["session_id"] for one in door.withdrawn] == ["v", "w"]


def test_the_python_sender_sends_each_event_once(door: Door) -> None:
    with Sender(door.url, "mw_x", app="shop", pause_s=0.02) as murmur:
        murmur.withdraw(["analytics"], user="v")
        murmur.withdraw(session="w")
        for _ in range(250):
            murmur.send("buy", {"kind": "book"}, user="u", consent=["analytics"])
    check(door, 250)
    assert murmur.refused == {"no_consent": 3}


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js on this machine")
def test_the_node_sender_sends_each_event_once(door: Door) -> None:
    program = f"""import {{ createSender }} from {json.dumps(MODULE.as_uri())};
    const murmur = createSender({{ url: "{door.url}", key: "mw_x", app: "shop", pauseMs: 20 }});
    murmur.withdraw(["analytics"], {{ user: "v" }});
    murmur.withdraw(undefined, {{ session: "w" }});
    for (let n = 0; n < 250; n++) murmur.send("buy", {{ kind: "book" }}, {{ user: "u", consent: ["analytics"] }});
    await murmur.close(50);
    console.log(JSON.stringify(murmur.refused));"""
    done = subprocess.run(
        ["node", "--input-type=module", "-e", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    check(door, 250)
    assert json.loads(done.stdout) == {"no_consent": 3}
