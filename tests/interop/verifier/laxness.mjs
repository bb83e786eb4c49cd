// What Node's own crypto lets through of the cases that mesh.md 3 refuses.

export class Laxness {
  constructor() {
    this.notes = [];
  }

  note(section, cases, isLetThrough) {
    const names = cases.filter(isLetThrough).map(({ name }) => name);
    this.notes.push({ section, total: cases.length, names });
  }

  lines() {
    return this.notes.map(({ section, total, names }) => {
      const shown = names.length > 10 ? `${names.slice(0, 3).join("; ")}; …` : names.join("; ");
      return `Node alone takes ${names.length} of ${total}: ${section}${shown && ` (${shown})`}`;
    });
  }
}
