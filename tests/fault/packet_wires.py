"""Bad wires below TCP: each node in a network namespace of its own, and packets between them lost, late, out of order.

What `tc netem` does, on kernels without it, too: each namespace has one TUN device, and a thread here carries the
packets. It needs root. Nodes speak TLS, since plain HTTP goes to loopback only; their certificate authority is in
SSL_CERT_FILE.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import http.client
import ipaddress
import os
import random
import select
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
CLONE_NEWNET = 0x40000000
PORT = 7700
WAITING_PACKETS = 20_000  # more than that are lost, as in any router


class PacketWires:
    """Wires between `count` namespaces.

    Args:
        loss: Probability that a packet is lost.
        delay_s: The longest a packet takes; each takes its own time, so they overtake each other.

    Raises:
        OSError, subprocess.CalledProcessError: this process may not make namespaces or devices.
    """

    what = "namespaces, packets lost and late"

    def __init__(self, count: int, seed: int, folder: Path, *, loss: float = 0.02, delay_s: float = 0.03) -> None:
        self.count = count
        self._random = random.Random(seed)
        self._loss, self._delay_s = loss, delay_s
        self._names = [f"mm{os.getpid() % 1_000_000}n{place}" for place in range(count)]
        self._devices: list[int] = []
        self._woken, self._wake = os.pipe()
        self._folder = folder
        try:
            for place, name in enumerate(self._names):
                self._devices.append(self._lay(name, self.address(place)))
            self._authority, self._context = _certify(folder, [self.address(place) for place in range(count)])
        except BaseException:
            self._tear_down()
            raise
        self._thread = threading.Thread(target=self._carry, name="packet-wires", daemon=True)
        self._thread.start()

    def address(self, place: int) -> str:
        return f"10.77.0.{place + 1}"

    def command(self, place: int) -> list[str]:
        """What a node's command line begins with."""
        return ["ip", "netns", "exec", self._names[place]]

    def environment(self) -> dict[str, str]:
        return {"SSL_CERT_FILE": str(self._authority)}

    def listen(self, place: int) -> str:
        return f"127.0.0.1:{PORT + place}"  # for `init`, which refuses to listen elsewhere without TLS

    def advertise(self, place: int) -> str:
        return f"https://{self.address(place)}:{PORT}"

    def configured(self, place: int, text: str) -> str:
        """The node's configuration on these wires."""
        files = f'tls_cert = "{self._folder}/{place}.pem"\ntls_key = "{self._folder}/{place}.key"\n'
        text = text.replace(self.listen(place), f"{self.address(place)}:{PORT}")
        return text.replace("[listen]\n", f"[listen]\n{files}")

    def client(self, place: int) -> http.client.HTTPConnection:
        """A connection to the node from inside its namespace, past the wires."""
        connection = http.client.HTTPSConnection(self.address(place), PORT, timeout=20, context=self._context)
        made: list[Any] = []

        def connect() -> None:
            try:
                _enter(self._names[place])
                made.append(socket.create_connection((self.address(place), PORT), timeout=20))
            except OSError as error:
                made.append(error)

        def connect_inside() -> None:
            thread = threading.Thread(target=connect)  # a socket stays in the namespace it was made in
            thread.start()
            thread.join()
            if isinstance(made[0], OSError):
                raise made[0]
            connection.sock = self._context.wrap_socket(made[0], server_hostname=self.address(place))

        connection.connect = connect_inside  # type: ignore[method-assign]
        return connection

    def heal(self) -> None:
        self._loss, self._delay_s = 0.0, 0.0

    def close(self) -> None:
        os.write(self._wake, b"\0")
        self._thread.join(10)
        self._tear_down()

    def _lay(self, name: str, address: str) -> int:
        """A namespace with one device, whose packets come and go through the descriptor."""
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
            _ip("netns", "add", name)
            _ip("link", "set", name, "netns", name)
            for words in (("addr", "add", f"{address}/24", "dev", name), ("link", "set", name, "up"),
                          ("link", "set", "lo", "up")):  # fmt: skip
                _ip("-n", name, *words)
        except BaseException:
            os.close(device)
            raise
        return device

    def _tear_down(self) -> None:
        for device in self._devices:
            os.close(device)
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        for end in (self._woken, self._wake):
            os.close(end)

    def _carry(self) -> None:
        """Until it is told to end: packets in, and out again when their time has come."""
        places = {
            ipaddress.IPv4Address(self.address(place)).packed: self._devices[place] for place in range(self.count)
        }
        waiting: list[tuple[float, int, int, bytes]] = []
        number = 0
        while True:
            due_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            ready, _, _ = select.select([self._woken, *self._devices], [], [], due_s)
            if self._woken in ready:
                return
            now = time.monotonic()
            for device in ready:
                with contextlib.suppress(BlockingIOError):
                    while packet := os.read(device, 65_536):
                        target = places.get(packet[16:20]) if packet[0] >> 4 == 4 else None
                        if target is None or self._random.random() < self._loss or len(waiting) > WAITING_PACKETS:
                            continue
                        number += 1
                        heapq.heappush(waiting, (now + self._random.uniform(0, self._delay_s), number, target, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, target, packet = heapq.heappop(waiting)
                with contextlib.suppress(OSError):  # a full queue loses it
                    os.write(target, packet)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _enter(name: str) -> None:
    """Move this thread into a namespace."""
    setns: Callable[[int, int], int] = ctypes.CDLL(None, use_errno=True).setns
    place = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if setns(place, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(place)


def _certify(folder: Path, addresses: list[str]) -> tuple[Path, ssl.SSLContext]:
    """A certificate for each address, by an authority of its own: the authority's file, and who trusts it."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority of a test")])

    def certificate(subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: tuple[Any, bool]) -> bytes:
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(ca_name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )  # fmt: skip
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, is_critical)
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority = folder / "authority.pem"
    authority.write_bytes(certificate(ca_name, ca_key, (x509.BasicConstraints(ca=True, path_length=None), True)))
    for place, address in enumerate(addresses):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        (folder / f"{place}.pem").write_bytes(certificate(name, key, (names, False)))
        secret = folder / f"{place}.key"
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        secret.chmod(0o600)
    context = ssl.create_default_context(cafile=str(authority))
    return authority, context
