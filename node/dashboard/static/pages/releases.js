// Releases: exactly what left the nodes, newest first.

import { maybe } from "../api.js";
import { h, swap } from "../dom.js";

export const controls = [];

export function setup(main) {
  return async () => {
    const reply = await maybe("/v1/releases", { limit: "50" });
    swap(main, h("p", { class: "empty" }, reply ? "Nothing has been released yet." : "This node does not list its releases yet."));
    return null;
  };
}
