"""The node's configuration file, `node.toml`, parsed into one frozen value.

Rules:
- Unknown sections and keys are refused with the nearest known name; nothing is guessed.
- Relative paths are relative to the file. The anchor must lie outside the data folder (PROTOCOL 5): a restored
  data folder must not bring its own witness along.
- An address is `HOST:PORT`. The three listeners may share one address; the admin listener is loopback only.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from node.errors import ConfigError
from node.senders import OriginConfig, Rates, parse_networks
from privacy.errors import InvalidParameterError
from privacy.exact import parse_ratio

if TYPE_CHECKING:
    from node.passphrase import Passphrase

EpochLength = Literal["day", "week", "month"]
_SPAN = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_SPAN_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_KEY_S = 400 * 86_400  # as long as a charter
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where a listener binds."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """The node's addresses: `public` (ingest, page), `mesh` (peers), `research` (queries), `admin` (loopback)."""

    public: Address
    mesh: Address
    research: Address
    admin: Address | None = None
    behind_proxy: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    self_signed: bool = False
    workers: int = 1

    @property
    def has_tls(self) -> bool:
        """Whether the listeners themselves speak TLS."""
        return self.self_signed or self.tls_cert is not None


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """How peers reach this node, and how eagerly it talks to them."""

    advertise: str
    sync_interval_s: float = 90.0
    push_delay_ms: int = 20


@dataclass(frozen=True, slots=True)
class KeysConfig:
    """The signing key's turns, and what the key files open with.

    Args:
        rotate_every_s: A turn by itself when the key is so old; None: only when the operator says so.
        passphrase_file: Holds what the files in DATA/keys are sealed with; None: systemd's credential, or nothing.
        passphrase: What was given at the start instead; never in node.toml.
    """

    rotate_every_s: int | None = None
    passphrase_file: Path | None = None
    passphrase: Passphrase | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node, as its operator configured it."""

    path: Path
    name: str
    data: Path
    plan: Path
    epoch: EpochLength
    anchor: Path
    listen: ListenConfig
    mesh: MeshConfig
    release_tick_s: int = 300
    backfill_from: date | None = None
    origin: OriginConfig = field(default_factory=OriginConfig)
    limits: Rates = field(default_factory=Rates)
    log_level: str = "info"
    budget_cap: Fraction | None = None
    keys: KeysConfig = field(default_factory=KeysConfig)


_SECTIONS: dict[str, tuple[str, ...]] = {
    "": ("name", "data", "plan", "epoch", "anchor"),
    "budget": ("cap",),
    "listen": (
        "public",
        "mesh",
        "research",
        "admin",
        "behind_proxy",
        "tls_cert",
        "tls_key",
        "self_signed",
        "workers",
        "trusted_proxies",
        "country_header",
        "country_database",
    ),
    "limits": ("server_per_s", "browser_per_s", "address_per_s"),
    "mesh": ("advertise", "sync_interval_s", "push_delay_ms"),
    "keys": ("rotate_every", "passphrase_file"),
    "release": ("tick_s",),
    "backfill": ("from",),
    "log": ("level",),
}


def load_config(path: Path) -> NodeConfig:
    """Read and check `node.toml`.

    Raises:
        ConfigError: the file is missing, unreadable, not TOML, or says something this version cannot obey.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            code="config_unreadable",
            what=f"The configuration {path} cannot be read",
            why=error.strerror or type(error).__name__,
            fix='Give the path of a node.toml with --config, or make a node with "murmur init"',
        ) from error
    except UnicodeDecodeError as error:
        raise _refused(path, "it is not UTF-8 text", "Save the file as UTF-8") from error
    return parse_config(text, path)


def parse_config(text: str, path: Path) -> NodeConfig:
    """Parse the text of a `node.toml` found at `path` (used for relative paths and messages)."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused(path, f"it is not TOML: {error}", "Mend the line named above") from error
    _check_keys(tree, path)
    base = path.resolve().parent
    name = _text(tree, "name", path)
    data = base / _text(tree, "data", path, default="data")
    anchor_text = _text(tree, "anchor", path, default="")
    anchor = base / anchor_text if anchor_text else _default_anchor(name)
    if anchor.resolve().is_relative_to(data.resolve()):
        raise _refused(
            path,
            f"anchor {anchor} lies inside the data folder",
            "Put the anchor elsewhere: it must not be part of a backup or a restore of the data",
        )
    epoch = _text(tree, "epoch", path, default="day")
    if epoch not in ("day", "week", "month"):
        raise _refused(path, f'epoch is "{epoch}"', "Use day, week or month")
    level = _text(tree.get("log", {}), "level", path, default="info")
    if level not in LOG_LEVELS:
        raise _refused(path, f'log.level is "{level}"', f"Use one of {', '.join(LOG_LEVELS)}")
    return NodeConfig(
        path=path.resolve(),
        name=name,
        data=data,
        plan=base / _text(tree, "plan", path, default="plan.yaml"),
        epoch=cast(EpochLength, epoch),  # checked just above
        anchor=anchor,
        listen=_listen(tree.get("listen", {}), base, path),
        mesh=_mesh(tree.get("mesh", {}), path),
        release_tick_s=_integer(tree.get("release", {}), "tick_s", path, default=300, low=1, high=86_400),
        backfill_from=_backfill_from(tree.get("backfill", {}), path),
        log_level=level,
        budget_cap=_budget_cap(tree.get("budget", {}), path),
        origin=_origin(tree.get("listen", {}), base, path),
        limits=_limits(tree.get("limits", {}), path),
        keys=_keys(tree.get("keys", {}), base, data, path),
    )


def _keys(section: dict[str, Any], base: Path, data: Path, path: Path) -> KeysConfig:
    every = _text(section, "rotate_every", path, default="")
    found = _SPAN.fullmatch(every)
    if every and found is None:
        raise _refused(path, f'keys.rotate_every is "{every}"', 'Write a span such as "90d", "12h" or "30s"')
    seconds = None if found is None else int(found[1]) * _SPAN_S[found[2]]
    if seconds is not None and not 10 <= seconds <= _LONGEST_KEY_S:
        raise _refused(path, f'keys.rotate_every is "{every}"', 'Give at least "10s" and at most "400d"')
    name = _text(section, "passphrase_file", path, default="")
    passphrase = base / name if name else None
    if passphrase is not None and passphrase.resolve().is_relative_to(data.resolve()):
        raise _refused(path, f"keys.passphrase_file {passphrase} lies inside the data folder",
                       "Put it elsewhere: who copies the folder must not get what opens its keys")  # fmt: skip
    return KeysConfig(seconds, passphrase)


def _listen(section: dict[str, Any], base: Path, path: Path) -> ListenConfig:
    public = _address(_text(section, "public", path, default="127.0.0.1:7700"), "listen.public", path)
    mesh = _address(_text(section, "mesh", path, default=str(public)), "listen.mesh", path)
    research = _address(_text(section, "research", path, default=str(public)), "listen.research", path)
    admin_text = _text(section, "admin", path, default="")
    admin = _address(admin_text, "listen.admin", path) if admin_text else None
    if admin is not None and not admin.is_loopback:
        raise _refused(
            path,
            f"listen.admin is {admin}, which is not a loopback address",
            "Bind it to 127.0.0.1: exact traffic counts live there",
        )
    behind_proxy = section.get("behind_proxy", False)
    if not isinstance(behind_proxy, bool):
        raise _refused(path, "listen.behind_proxy is not true or false", "Write true or false without quotes")
    self_signed = section.get("self_signed", False)
    if not isinstance(self_signed, bool):
        raise _refused(path, "listen.self_signed is not true or false", "Write true or false without quotes")
    certificate, key = (_text(section, name, path, default="") for name in ("tls_cert", "tls_key"))
    if bool(certificate) != bool(key) or (self_signed and certificate):
        raise _refused(
            path,
            "listen.tls_cert, tls_key and self_signed do not go together",
            "Give tls_cert and tls_key, or self_signed = true, or none of them",
        )
    has_tls = self_signed or bool(certificate)
    for where, address in (("public", public), ("mesh", mesh), ("research", research)):
        if not address.is_loopback and not behind_proxy and not has_tls:
            raise _refused(
                path,
                f"listen.{where} is {address}, which others can reach without TLS",
                "Listen on 127.0.0.1 behind a TLS proxy, say behind_proxy = true, or give tls_cert and tls_key",
            )
    workers = _integer(section, "workers", path, default=1, low=1, high=16)
    if workers > 1 and has_tls:
        raise _refused(
            path,
            "listen.workers is more than 1, and the listeners speak TLS themselves",
            "Put a TLS proxy in front (behind_proxy = true), or leave workers out",
        )
    return ListenConfig(
        workers=workers,
        public=public,
        mesh=mesh,
        research=research,
        admin=admin,
        behind_proxy=behind_proxy,
        tls_cert=base / certificate if certificate else None,
        tls_key=base / key if key else None,
        self_signed=self_signed,
    )


def _origin(section: dict[str, Any], base: Path, path: Path) -> OriginConfig:
    """How the sender of a browser's request is known behind proxies."""
    texts = section.get("trusted_proxies", [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _refused(path, "listen.trusted_proxies is no list of texts", 'Write ["127.0.0.1", "10.0.0.0/8"]')
    try:
        networks = parse_networks(texts)
    except ValueError as error:
        raise _refused(path, f"listen.trusted_proxies: {error}", 'Write ["127.0.0.1", "10.0.0.0/8"]') from error
    header = _text(section, "country_header", path, default="")
    if header and not networks:
        raise _refused(path, "listen.country_header needs listen.trusted_proxies", "Name the proxy that sets it")
    database = _text(section, "country_database", path, default="")
    return OriginConfig(networks, header or None, base / database if database else None)


def _limits(section: dict[str, Any], path: Path) -> Rates:
    found: dict[str, float] = {}
    for key, value in section.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= 1e9:
            raise _refused(path, f"limits.{key} is {value!r}", "Give requests a second, 0.01 to 1000000000")
        found[key.removesuffix("_per_s")] = float(value)
    return Rates(**found)


def _mesh(section: dict[str, Any], path: Path) -> MeshConfig:
    advertise = _text(section, "advertise", path, default="")
    interval = section.get("sync_interval_s", 90)
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0.1 <= interval <= 86_400:
        raise _refused(path, f"mesh.sync_interval_s is {interval!r}", "Give seconds between 0.1 and 86400")
    return MeshConfig(
        advertise=advertise,
        sync_interval_s=float(interval),
        push_delay_ms=_integer(section, "push_delay_ms", path, default=20, low=0, high=60_000),
    )


def _budget_cap(section: dict[str, Any], path: Path) -> Fraction | None:
    """The operator's own cap on an epoch, as a ratio in quotes: a float never decides a guarantee."""
    if "cap" not in section:
        return None
    try:
        return parse_ratio(section["cap"], "budget.cap")
    except InvalidParameterError as error:
        raise _refused(path, f"{error.what}: {error.why}", 'Write cap = "1/80": a positive ratio in quotes') from error


def _backfill_from(section: dict[str, Any], path: Path) -> date | None:
    value = section.get("from")
    if value is None:
        return None
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise _refused(path, f'backfill.from is "{value}"', "Give a day such as 2026-11-05") from error


def _address(text: str, key: str, path: Path) -> Address:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise _refused(path, f'{key} is "{text}"', "Give HOST:PORT with a port from 1 to 65535")
    return Address(host, int(port))


def _default_anchor(name: str) -> Path:
    state_home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state_home) / "murmur" / f"{name}.anchor"


def _text(section: dict[str, Any], key: str, path: Path, default: str | None = None) -> str:
    value = section.get(key, default)
    if not isinstance(value, str) or (default is None and not value):
        raise _refused(path, f'"{key}" is missing or not text', f'Write {key} = "…"')
    return value


def _integer(section: dict[str, Any], key: str, path: Path, *, default: int, low: int, high: int) -> int:
    value = section.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _refused(path, f'"{key}" is {value!r}', f"Give a whole number from {low} to {high}")
    return value


def _check_keys(tree: dict[str, Any], path: Path) -> None:
    sections = [name for name in _SECTIONS if name]
    for key, value in tree.items():
        if key in sections:
            if not isinstance(value, dict):
                raise _refused(path, f'"{key}" is not a section', f"Write it as [{key}]")
            for inner in value:
                if inner not in _SECTIONS[key]:
                    raise _unknown(path, f"{key}.{inner}", [f"{key}.{known}" for known in _SECTIONS[key]])
        elif key not in _SECTIONS[""]:
            raise _unknown(path, key, [*_SECTIONS[""], *sections])


def _unknown(path: Path, key: str, known: list[str]) -> ConfigError:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}"
    return _refused(path, f'it has an unknown key "{key}"', hint)


def _refused(path: Path, why: str, fix: str) -> ConfigError:
    return ConfigError(code="config_invalid", what=f"The configuration {path} is refused", why=why, fix=fix)
