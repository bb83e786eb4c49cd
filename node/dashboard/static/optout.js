// The opt-out of the node's own script, in the storage that client.js reads: "murmur:off" says no; leaving drops what waits
// to be sent and notes the visit's withdrawal, which client.js tells the node of (POST /v1/consent) when it runs next.

const OFF = "murmur:off";
const WAITING = "murmur:q";
const WITHDRAWN = "murmur:w";
const SESSION = "murmur:s";

/** True where the browser keeps no storage for this page. */
export function blocked() {
  try {
    localStorage.setItem("murmur:try", "1");
    localStorage.removeItem("murmur:try");
    return false;
  } catch {
    return true;
  }
}

export function isOut() {
  try {
    return Boolean(localStorage.getItem(OFF));
  } catch {
    return false;
  }
}

/** As murmur.optOut() does it. */
export function stayOut() {
  try {
    localStorage.setItem(OFF, "1");
    localStorage.removeItem(WAITING);
    const session = sessionStorage.getItem(SESSION);
    if (!session) return;
    sessionStorage.removeItem(SESSION);
    localStorage.setItem(WITHDRAWN, JSON.stringify([...noted(), { session_id: session, withdraw: "all", t: Date.now() }]));
  } catch { /* blocked() says so */ }
}

/** As murmur.optIn() does it; a withdrawal once noted stays. */
export function takePart() {
  try {
    localStorage.removeItem(OFF);
  } catch { /* blocked() says so */ }
}

function noted() {
  try {
    const found = JSON.parse(localStorage.getItem(WITHDRAWN));
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}
