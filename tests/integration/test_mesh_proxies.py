"""Nodes behind real reverse proxies, end to end: nginx as it comes, and nginx and Caddy with the files of deploy/.

The nodes' own ports are told to nobody: whatever they hold of each other came through the proxies.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.requests import MAX_MESSAGE_BYTES
from tests.conftest import ROOT
from tests.fault.mesh_rig import Mesh
from tests.integration.small_federation import free_ports

HOST = "127.0.0.1"
DEPLOY = ROOT / "deploy"
PLAIN, NGINX, CADDY = range(3)


class ProxyWires:
    """Three nodes, each behind a proxy of its own."""

    what = "nginx with its defaults, nginx and Caddy with the files of deploy/"
    count = 3

    def __init__(self, folder: Path, nginx: str, caddy: str) -> None:
        self._folder = folder
        folder.mkdir()
        self._base = free_ports(self.count)
        self._certify()
        self._processes = [self._start_nginx(nginx), self._start_caddy(caddy)]
        try:
            for place in range(self.count):
                self._listening(place)
        except BaseException:
            self.close()
            raise

    def command(self, _place: int) -> list[str]:
        return []

    def environment(self) -> dict[str, str]:
        return {"SSL_CERT_FILE": str(self._folder / "cert.pem")}

    def listen(self, place: int) -> str:
        return f"{HOST}:{self._base + place}"

    def advertise(self, place: int) -> str:
        return f"http://{HOST}:{self.port(place)}" if place == PLAIN else f"https://localhost:{self.port(place)}"

    def configured(self, _place: int, text: str) -> str:
        return text.replace("[listen]\n", "[listen]\nbehind_proxy = true\n") if "behind_proxy" not in text else text

    def client(self, place: int) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(HOST, self._base + place, timeout=20)

    def heal(self) -> None:
        """Nothing is broken."""

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(20)

    def port(self, place: int) -> int:
        """Of the proxy."""
        return self._base + 10 + place

    def _certify(self) -> None:
        """A certificate for localhost that is its own authority, for the proxies and for whoever calls them."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1)).add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True).sign(key, hashes.SHA256())
        )  # fmt: skip
        (self._folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._folder / "key.pem").write_bytes(secret)

    def _start_nginx(self, nginx: str) -> subprocess.Popen[bytes]:
        """Two sites: the barest one there is, and the one of deploy/ with names, ports and certificate of this test."""
        bare = (
            f"server {{ listen {HOST}:{self.port(PLAIN)}; location / {{ proxy_pass http://{self.listen(PLAIN)}; }} }}"
        )
        site = (DEPLOY / "nginx/murmur.conf").read_text(encoding="utf-8")
        assert "127.0.0.1:7700" in site
        site = site.replace("127.0.0.1:7700", self.listen(NGINX))
        site = site.replace("listen [::]:443 ssl;", "")
        site = site.replace("listen 443 ssl;", f"listen {HOST}:{self.port(NGINX)} ssl;")
        site = re.sub(r"ssl_certificate .*;", f"ssl_certificate {self._folder}/cert.pem;", site)
        site = re.sub(r"ssl_certificate_key .*;", f"ssl_certificate_key {self._folder}/key.pem;", site)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {self._folder}/{kind};" for kind in kinds)
        log = self._folder / "nginx.log"
        log.touch()
        user = "user root;" if os.geteuid() == 0 else ""  # else its workers may not write bodies above 16 KiB here
        (self._folder / "nginx.conf").write_text(
            f"daemon off; {user} pid {self._folder}/pid; error_log {log}; events {{}} "
            f"http {{ access_log {self._folder}/access; {temporary} {bare} {site} }}"
        )
        return subprocess.Popen([nginx, "-p", self._folder, "-c", self._folder / "nginx.conf", "-e", log])

    def _start_caddy(self, caddy: str) -> subprocess.Popen[bytes]:
        text = (DEPLOY / "caddy/Caddyfile").read_text(encoding="utf-8")
        opening = "{$ADDRESS:analytics.example.org} {\n"
        assert opening in text
        text = text.replace(opening, f"{opening}\ttls {self._folder}/cert.pem {self._folder}/key.pem\n")
        (self._folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text)
        home = str(self._folder)
        environment = {
            "ADDRESS": f"https://localhost:{self.port(CADDY)}", "PORT": str(self._base + CADDY), "HOME": home,
            "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home, "PATH": os.environ["PATH"],
        }  # fmt: skip
        command = [caddy, "run", "--adapter", "caddyfile", "--config", str(self._folder / "Caddyfile")]
        with (self._folder / "caddy.log").open("w") as log:
            return subprocess.Popen(command, env=environment, stderr=log)

    def _listening(self, place: int) -> None:
        deadline = time.monotonic() + 60
        while True:
            for process, log in zip(self._processes, ("nginx.log", "caddy.log"), strict=True):
                assert process.poll() is None, (self._folder / log).read_text()
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port(place))) == 0:
                    return
            assert time.monotonic() < deadline, "a proxy does not listen"
            time.sleep(0.05)


@pytest.fixture
def wires(tmp_path: Path) -> Iterator[ProxyWires]:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    caddy = shutil.which("caddy")
    if nginx is None or caddy is None:
        pytest.skip("nginx or caddy is not installed")
    made = ProxyWires(tmp_path / "proxies", nginx, caddy)
    yield made
    made.close()


def posted(port: int, size: int, *, is_sent: bool = True) -> int:
    """The status of so many bytes, or of the promise to send them."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.putrequest("POST", "/mesh/v1/push")
        connection.putheader("Content-Length", str(size))
        connection.endheaders(bytes(size) if is_sent else None)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.timeout(600)
def test_case_16_and_threat_2_nodes_behind_nginx_and_caddy_agree(wires: ProxyWires, tmp_path: Path) -> None:
    """Each releases two days, one dies on the way; all hold everything. What is too large is refused, no more."""
    mesh = Mesh(tmp_path / "mesh", wires, days=2, seed=3)
    try:
        mesh.run(1, 0, 0.0)  # one of them dies and comes back on the way
        mesh.agree()
        context = ssl.create_default_context(cafile=str(tmp_path / "proxies/cert.pem"))
        for place in range(wires.count):
            connection = (
                http.client.HTTPConnection(HOST, wires.port(place), timeout=30)
                if place == PLAIN
                else http.client.HTTPSConnection("localhost", wires.port(place), timeout=30, context=context)
            )
            try:
                connection.request("POST", "/mesh/v1/push", bytes(3 << 19))
                assert connection.getresponse().status in (413, 502)
            except OSError:
                pass  # hung up before all was sent
            finally:
                connection.close()
        assert posted(wires.port(PLAIN), MAX_MESSAGE_BYTES) == 403  # a stranger's, and the node saw it
        assert posted(wires.port(PLAIN), MAX_MESSAGE_BYTES + 1, is_sent=False) == 413  # nginx itself, as it comes
        mesh.agree()
    finally:
        mesh.stop()
    assert len(set(mesh.stored())) == 1
    assert "POST /mesh/v1/push" in (tmp_path / "proxies/access").read_text()
