// The API key, where the node asks for one: kept for this tab only, gone when it closes. On loopback none is needed.

const NAME = "murmur-key";
let held = sessionStorage.getItem(NAME) ?? "";

export const key = () => held;

export function keep(secret) {
  held = secret.trim();
  if (held) sessionStorage.setItem(NAME, held);
  else sessionStorage.removeItem(NAME);
}
