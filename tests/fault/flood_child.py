"""A member that floods, a process of its own: `python flood_child.py HOST PORT FILE CONNECTIONS`.

The file holds what it sends, each as (op, message): a byte of the op's length, four of the message's, then both. It
sends over so many connections, on each the next one when the last was answered, and prints how often it got which HTTP
status and which mesh status as a JSON line. The messages are signed beforehand, so that it costs the machine little.
"""

from __future__ import annotations

import http.client
import json
import struct
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

SAMPLE = 50  # one answer in so many is read


def written(messages: Iterable[tuple[str, bytes]]) -> bytes:
    """The file of these."""
    return b"".join(struct.pack(">BI", len(op), len(body)) + op.encode() + body for op, body in messages)


def read(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(data):
        op, size = struct.unpack_from(">BI", data, at)
        at += 5
        yield data[at : at + op].decode(), data[at + op : at + op + size]
        at += op + size


def flood(host: str, port: int, messages: list[tuple[str, bytes]], told: Counter[str], kept: list[bytes]) -> None:
    """Each message once; a connection that is cut is opened again."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    for number, (op, body) in enumerate(messages):
        try:
            connection.request("POST", f"/mesh/v1/{op}", body)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            told[f"{op} cut"] += 1
            continue
        told[f"{op} {response.status}"] += 1
        if number % SAMPLE == 0 and response.status == 200:
            kept.append(answer)
    connection.close()


def main(host: str, port: str, file: str, connections: str) -> None:
    from protocol.requests import parse_response  # the path is set below

    messages, count = list(read(Path(file).read_bytes())), int(connections)
    told: Counter[str] = Counter()
    kept: list[bytes] = []
    threads = [
        threading.Thread(target=flood, args=(host, int(port), messages[place::count], told, kept))
        for place in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = Counter(parse_response(answer).response.status for answer in kept)
    print(json.dumps({"http": told, "mesh": statuses}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main(*sys.argv[1:])
