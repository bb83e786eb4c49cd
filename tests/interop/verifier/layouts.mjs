// The labels of a definition's cells: metrics.md 3 to 5.
import { byCodeUnit, decode } from "./canonical.mjs";
import { compile } from "./definitions.mjs";
import { isBytes } from "./bytes.mjs";

const IMPLICIT = { app: ["other"], action: ["other"], country: ["other", "none"], hour: [] };
const KINDS = ["histogram", "top", "sum", "mean", "funnel", "journey", "retention", "score"];
const HEADLINES = { mean: "count", score: "people", top: "count" };

/** The definition compiled, with its tree, `kind`, axes of `by` and, of each block, its axes with labels. */
export function layoutOf(bytes) {
  const compiled = compile(bytes);
  const tree = plain(decode(bytes));
  const kind = typeof tree.measure === "string" ? tree.measure : KINDS.find((one) => one in tree.measure);
  const by = Object.keys(tree.by ?? {}).sort(byCodeUnit).map((name) => ({ name, labels: labelsOf(name, tree.by[name]) }));
  const own = ownAxes(kind, tree);
  const blocks = compiled.blocks.map((block) => ({ ...block, axes: axesOf(block.name, kind, by, own) }));
  const headline = HEADLINES[kind] ?? kind;
  const meaning = JSON.stringify([tree.from, tree.measure, tree.by ?? null]);
  return { ...compiled, tree, kind, by, own, blocks, headline, meaning };
}

function plain(value) {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
  if (Array.isArray(value)) return value.map(plain);
  return isBytes(value) ? value.toString("utf8") : value;
}

/** null where the keys are discovered. */
function labelsOf(name, written) {
  if (Array.isArray(written)) return [...written, ...(IMPLICIT[name] ?? ["other", "none"])];
  return written.edges === undefined ? null : binsOf(written.edges);
}

function binsOf(edges) {
  const inner = edges.slice(1).map((edge, at) => `[${edges[at]}, ${edge})`);
  return [`< ${edges[0]}`, ...inner, `>= ${edges.at(-1)}`, "none"];
}

const count = (most, from = 1) => Array.from({ length: most }, (_, at) => String(at + from));

/** Those of the measure, innermost. */
function ownAxes(kind, { measure, window }) {
  if (kind === "histogram") return [{ name: "bin", labels: binsOf(measure.edges) }];
  if (kind === "funnel") return [{ name: "step", labels: measure.funnel }];
  if (kind === "journey") {
    const labels = labelsOf(measure.journey, measure.values);
    return [{ name: "from", labels }, { name: "to", labels }];
  }
  if (kind === "retention") {
    const periods = window === "week" ? 7 : measure.retention === "day" ? 28 : 4;
    return [{ name: "cohort", labels: count(periods) }, { name: "age", labels: count(Number(measure.ages), 0) }];
  }
  if (kind === "score") return [{ name: "component", labels: Object.keys(measure.score).sort(byCodeUnit) }];
  return [];
}

function axesOf(block, kind, by, own) {
  if (block === "whole" || block === "clipped_people") return [];
  const isOwn = block === kind;
  return isOwn ? [...by, ...own] : by;
}
