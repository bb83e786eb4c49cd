// The API key, where the node asks for one: kept for this tab only, gone when it closes. On loopback none is needed.

const NAME = "murmur-key";
const given = /^#key=(m[ra]_[\w.~-]+)$/.exec(location.hash)?.[1]; // as `murmur demo` prints it; a browser sends no fragment
if (given) {
  sessionStorage.setItem(NAME, given);
  history.replaceState(null, "", location.pathname + location.search);
}
let held = sessionStorage.getItem(NAME) ?? "";

export const key = () => held;

export function keep(secret) {
  held = secret.trim();
  if (held) sessionStorage.setItem(NAME, held);
  else sessionStorage.removeItem(NAME);
}
