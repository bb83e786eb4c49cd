// Endpoints: one spelling of an origin, and which are private: mesh.md 7.
import { hash, list, record } from "./fields.mjs";
import { demand } from "./refused.mjs";

const URL_FORM = /^(https?):\/\/(\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::([1-9]\d{0,4}))?$/;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const IPV4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
const PRIVATE_IPV4 = [
  "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
  "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
];
const PRIVATE_IPV6 = [[0x20010000n << 96n, 23n], [0x20010db8n << 96n, 32n], [0x2002n << 112n, 16n]];
const LOOPBACK_IPV6 = 1n;

export function endpoint(value) {
  const { url, tls_pin } = record(value, { url: urlText, "tls_pin?": hash });
  return { url, tls_pin, isPrivate: isPrivate(url) };
}

export const endpoints = list(endpoint, 0, 4);

function urlText(value) {
  demand(typeof value === "string", "url: no str");
  demand(value.length <= 255, "url: above 255 characters", "too-large");
  const found = URL_FORM.exec(value);
  demand(found !== null, "url: no origin in its one spelling");
  const [, scheme, host, port] = found;
  demand(port === undefined || Number(port) <= 65_535, "url: no such port");
  demand(Number(port) !== (scheme === "https" ? 443 : 80), "url: names the port of its scheme");
  demand(scheme === "https" || isLoopback(parseHost(host)), "url: http to a host that is not literal loopback");
  parseHost(host);
  return value;
}

/** {ipv4}, {ipv6} as integers, or {dns}. */
function parseHost(host) {
  if (host.startsWith("[")) return { ipv6: parseIpv6(host.slice(1, -1)) };
  const bytes = IPV4.exec(host)?.slice(1).map(Number);
  if (bytes !== undefined) {
    demand(bytes.every((byte) => byte < 256), "url: no IPv4 address");
    return { ipv4: bytes.reduce((sum, byte) => sum * 256 + byte, 0) };
  }
  const labels = host.split(".");
  demand(labels.every((label) => LABEL.test(label)) && !/^\d/.test(labels.at(-1)), "url: no DNS name");
  return { dns: host };
}

function parseIpv6(text) {
  const halves = text.split("::");
  demand(halves.length <= 2, "url: no IPv6 address");
  const [head, tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const gap = 8 - head.length - tail.length;
  demand(halves.length === 2 ? gap >= 1 : gap === 0, "url: no IPv6 address");
  const groups = [...head, ...Array(gap).fill("0"), ...tail];
  demand(groups.every((group) => /^[0-9a-f]{1,4}$/.test(group)), "url: no IPv6 address");
  const words = groups.map((group) => parseInt(group, 16));
  demand(text === rfc5952(words), "url: an IPv6 address in another form than that of RFC 5952");
  const address = words.reduce((sum, word) => (sum << 16n) | BigInt(word), 0n);
  demand(address >> 32n !== 0xffffn, "url: an IPv6 address that embeds an IPv4 one"); // see QUESTIONS.md
  return address;
}

/** RFC 5952, 4: the first longest run of at least two zero groups is cut to ::. */
function rfc5952(words) {
  let [best, length] = [-1, 1];
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && words[to] === 0) to++;
    if (to - from > length) [best, length] = [from, to - from];
  }
  const text = (part) => part.map((word) => word.toString(16)).join(":");
  return best < 0 ? text(words) : `${text(words.slice(0, best))}::${text(words.slice(best + length))}`;
}

function isLoopback({ ipv4, ipv6 }) {
  return (ipv4 !== undefined && ipv4 >>> 24 === 127) || ipv6 === LOOPBACK_IPV6;
}

function isPrivate(url) {
  const [, scheme, host] = URL_FORM.exec(url);
  const { ipv4, ipv6 } = parseHost(host);
  if (scheme === "http") return true;
  if (ipv4 !== undefined) return PRIVATE_IPV4.some((network) => isInNetwork(ipv4, network));
  if (ipv6 === undefined) return false;
  return ipv6 >> 125n !== 1n || PRIVATE_IPV6.some(([net, bits]) => (ipv6 ^ net) >> (128n - bits) === 0n);
}

function isInNetwork(address, network) {
  const [base, bits] = network.split("/");
  const shift = 2 ** (32 - Number(bits));
  return Math.floor(address / shift) === Math.floor(parseHost(base).ipv4 / shift);
}
