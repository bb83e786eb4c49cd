/** The types of /client.js. Reference it, or copy it beside your code. */
export interface Murmur {
  /** Count an action with the attributes that the tracking plan declares for it. Never throws. */
  (action: string, attributes?: Record<string, string | number | boolean | null>): void;
  /** Say what the person consented to. What is no longer named is withdrawn, without purposes everything: what still
   *  waits is dropped, the session ends, and the node is told, so that it keeps nothing more of that session. */
  consent(purposes?: string | string[] | null): void;
  /** Send nothing from this browser any more, until `optIn`; the node is told for this session. */
  optOut(): void;
  optIn(): void;
  /** Send what waits now. */
  flush(): void;
  /** Count the current path as a page view, once a path. Called by itself where `data-page` is set. */
  page(): void;
}
declare global {
  interface Window {
    murmur: Murmur;
  }
  const murmur: Murmur;
}
