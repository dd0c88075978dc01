// Lines and bars as SVG. Whatever is drawn is a number; texts are set by whoever shows them.

const SVG = "http://www.w3.org/2000/svg";

/** How many seconds are shown. */
export const SECONDS = 60;

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, String(value));
  }
  return made;
}

/** The last minute of two numbers. What was not seen is null, and stays empty. */
export class History {
  #passed = [];
  #dropped = [];

  static of(passed, dropped) {
    const history = new History();
    history.#passed = passed;
    history.#dropped = dropped;
    return history;
  }

  push(passed, dropped) {
    for (const [numbers, number] of [[this.#passed, passed], [this.#dropped, dropped]]) {
      numbers.push(number);
      if (numbers.length > SECONDS) {
        numbers.shift();
      }
    }
  }

  get passed() {
    return this.#passed;
  }

  get dropped() {
    return this.#dropped;
  }

  get most() {
    return Math.max(1, ...this.#passed, ...this.#dropped);
  }
}

/** The pieces of a line: it is broken where nothing was seen. */
function pieces(numbers, most) {
  const first = SECONDS - numbers.length;
  const found = [];
  let piece = [];
  numbers.forEach((number, at) => {
    if (number === null) {
      found.push(piece);
      piece = [];
    } else {
      piece.push(`${first + at},${(100 - (100 * number) / most).toFixed(2)}`);
    }
  });
  found.push(piece);
  return found.filter((points) => points.length > 0);
}

function lines(history) {
  const drawn = [];
  for (const [numbers, name] of [[history.passed, "passed-line"], [history.dropped, "dropped-line"]]) {
    for (const points of pieces(numbers, history.most)) {
      drawn.push(element("polyline", { class: name, points: points.join(" ") }));
    }
  }
  return drawn;
}

/** A chart for reading numbers. `label` says the same to those who do not see it. */
export function chart(history, label) {
  const svg = element("svg", {
    class: "chart",
    viewBox: `0 -2 ${SECONDS - 1} 104`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": label,
  });
  for (const y of [0, 50, 100]) {
    svg.append(element("line", { class: "grid", x1: 0, x2: SECONDS - 1, y1: y, y2: y }));
  }
  svg.append(...lines(history));
  return svg;
}

/** A small one beside numbers, which say what it says. */
export function sparkline(history) {
  const svg = element("svg", {
    class: "sparkline",
    viewBox: `0 -5 ${SECONDS - 1} 110`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  svg.append(...lines(history));
  return svg;
}

/** A bar from 0 to 1. */
export function share(part, isPassing) {
  const svg = element("svg", {
    class: "share",
    viewBox: "0 0 100 10",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  const name = isPassing ? "share-bar passing" : "share-bar";
  svg.append(element("rect", { class: name, width: Math.max(0, Math.min(100, 100 * part)), height: 10 }));
  return svg;
}
