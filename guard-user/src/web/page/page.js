// Shows the snapshots that come, one a second. Texts in them may be of strangers: they are set as text, never as
// markup.

import { History, chart, share, sparkline } from "./chart.js";

const MOST_ROWS = 12;
/** Without a snapshot for so long, the connection is away, in milliseconds. */
const PATIENCE = 4000;
/** Between two attempts of our own, when the browser has given up. */
const RETRY = 3000;

const all = new History();
/** The port whose chart is shown; null: all. */
let chosen = null;
let latest = null;
let seen = performance.now();

const byId = (id) => document.getElementById(id);

function setText(node, text) {
  // Else readers of screens would read it again, and a selection would be lost.
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

function make(name, className, content) {
  const node = document.createElement(name);
  if (className) {
    node.className = className;
  }
  node.append(content);
  return node;
}

/** `12 345`, `1.2 M`: never wider than a column. */
function count(number) {
  if (number >= 1e9) {
    return `${(number / 1e9).toFixed(1)} G`;
  }
  if (number >= 1e6) {
    return `${(number / 1e6).toFixed(1)} M`;
  }
  if (number > 0 && number < 1) {
    return number.toFixed(1);
  }
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

function bits(number) {
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
  let at = 0;
  while (number >= 1000 && at < units.length - 1) {
    number /= 1000;
    at += 1;
  }
  return `${number >= 100 || at === 0 ? Math.round(number) : number.toFixed(1)} ${units[at]}`;
}

function time(seconds) {
  const pieces = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = pieces.findIndex(([length]) => seconds >= length);
  if (at < 0) {
    return "0 s";
  }
  const [length, unit] = pieces[at];
  const rest = pieces[at + 1];
  const more = rest ? Math.floor((seconds % length) / rest[0]) : 0;
  return `${Math.floor(seconds / length)} ${unit}${more > 0 ? ` ${more} ${rest[1]}` : ""}`;
}

/** A row: what tells it from others, and for each cell a text or a picture, and a class. */
function row(key, cells, press) {
  return { key, cells, press };
}

/** Writes a row. Its button stays the same, or a click that has begun would be lost. */
function fill(tr, { key, cells, press }) {
  tr.dataset.key = key;
  cells.forEach(([content, className], at) => {
    let cell = tr.children[at];
    if (!cell) {
      cell = document.createElement(at === 0 ? "th" : "td");
      tr.append(cell);
    }
    cell.className = className;
    if (at === 0) {
      cell.scope = "row";
    }
    if (at === 0 && press) {
      if (!cell.firstElementChild) {
        const button = make("button", "", "");
        button.type = "button";
        button.addEventListener("click", () => press(tr.dataset.key));
        cell.append(button);
      }
      setText(cell.firstElementChild, content);
      cell.firstElementChild.setAttribute("aria-pressed", String(chosen === key));
    } else if (typeof content === "string") {
      setText(cell, content);
    } else {
      cell.replaceChildren(content);
    }
  });
}

/** Shows these rows in this order, and leaves the keyboard where it was. */
function rows(id, wanted, empty) {
  const body = byId(id);
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  const known = new Map([...body.children].map((tr) => [tr.dataset.key, tr]));
  const shown = wanted.map((one) => {
    const tr = known.get(one.key) ?? document.createElement("tr");
    fill(tr, one);
    return tr;
  });
  if (shown.length === 0) {
    const td = make("td", "empty", empty);
    td.colSpan = 5;
    shown.push(make("tr", "", td));
  }
  if (shown.length !== body.children.length || shown.some((tr, at) => body.children[at] !== tr)) {
    body.replaceChildren(...shown);
  }
  if (focused !== null && focused !== document.activeElement) {
    (body.contains(focused) ? focused : byId("ports")).focus({ preventScroll: true });
  }
}

function portName(port) {
  return port.name ? `${port.label} ${port.name}` : port.label;
}

function choose(label) {
  chosen = chosen === label ? null : label;
  draw();
}

/** Packets that were dropped, or would have been but for monitor mode. */
function dropped(of) {
  return of.dropped.packets + of.monitored.packets;
}

function drawChart() {
  const port = latest.ports.find((port) => port.label === chosen);
  const ofPort = port ? History.of(port.history.passed, port.history.dropped) : new History();
  const history = chosen === null ? all : ofPort;
  const title = port ? portName(port) : chosen ?? "All ports";
  setText(byId("chart-title"), title);
  const now = port ?? (chosen === null ? latest.totals : null);
  const passedNow = count(now ? now.passed.packets : 0);
  const droppedNow = count(now ? dropped(now) : 0);
  setText(byId("passed-now"), passedNow);
  setText(byId("dropped-now"), droppedNow);
  byId("all-ports").hidden = chosen === null;
  const label = `${title}: ${passedNow} packets passed and ${droppedNow} dropped in the last second`;
  const axis = make("p", "axis", make("span", "", "a minute ago"));
  axis.append(make("span", "", `0 to ${count(history.most)} packets/s`), make("span", "", "now"));
  byId("chart").replaceChildren(chart(history, label), axis);
}

function drawPorts() {
  const made = latest.ports.map((port) => row(port.label, [
    [portName(port), ""],
    [count(port.passed.packets), "number"],
    [count(dropped(port)), "number"],
    [sparkline(History.of(port.history.passed, port.history.dropped)), "spark"],
    [port.main_reason ?? "", "narrow-hidden"],
  ], choose));
  rows("port-rows", made, "no packet in the last minute");
}

function drawReasons() {
  const packets = (reason) => reason.counted.packets + reason.monitored.packets;
  const now = latest.reasons.filter((reason) => packets(reason) > 0);
  const sum = now.reduce((sum, reason) => sum + packets(reason), 0);
  now.sort((one, other) => packets(other) - packets(one));
  const made = now.slice(0, MOST_ROWS).map((reason) => row(reason.reason, [
    [reason.reason, ""],
    [count(packets(reason)), "number"],
    [share(packets(reason) / sum, reason.action === "pass"), "spark"],
  ]));
  rows("reason-rows", made, "no packet in the last second");
}

function sourceState(source) {
  const states = { free: "", banned: "banned", limited: "limited" };
  const state = states[source.state] ?? "";
  const left = source.seconds_left === null ? "" : `, ${time(source.seconds_left)} left`;
  const asks = source.service ? `${source.reason}, ${source.service}` : source.reason;
  return state ? `${state}${left}` : asks;
}

function drawSources() {
  const made = latest.sources.slice(0, MOST_ROWS).map((source) => row(source.source, [
    [source.source, ""],
    [count(source.packets), "number"],
    [sourceState(source), ""],
  ]));
  rows("source-rows", made, "none");
}

function drawBans() {
  setText(byId("ban-count"), count(latest.bans.number));
  const made = latest.bans.soonest.slice(0, MOST_ROWS).map((ban) => row(ban.source, [
    [ban.source, ""],
    [ban.reason ? `${ban.origin}: ${ban.reason}` : ban.origin, ""],
    [ban.seconds_left === null ? "never" : time(ban.seconds_left), "number"],
  ]));
  rows("ban-rows", made, "nobody is banned");
}

function drawInterfaces() {
  const made = latest.interfaces.map((interface_) => {
    const isWell = interface_.protected && !interface_.fault;
    const words = interface_.protected ? "protected" : "not protected";
    const state = interface_.fault ? `${words}: ${interface_.fault}` : words;
    return row(interface_.name, [
      [interface_.name, ""],
      [make("b", isWell ? "good" : "bad", state), ""],
      [interface_.mode, "word"],
    ]);
  });
  rows("interface-rows", made, "none");
}

function drawFigures() {
  const { totals, connections, cpu } = latest;
  const figures = [
    ["Dropped", bits(totals.dropped.bits)],
    ["Passed", bits(totals.passed.bits)],
    ["New connections in", `${count(connections.incoming)}/s`],
    ["New connections out", `${count(connections.outgoing)}/s`],
    ["SYN cookies", `${count(connections.cookies)}/s`],
    ["Out of state", `${count(connections.out_of_state)}/s`],
    ["CPU of the filter", cpu ? `${(100 * cpu.share).toFixed(1)} %` : "not measured"],
  ];
  const nodes = figures.map(([name, value]) => {
    const both = make("div", "", make("dt", "", name));
    both.append(make("dd", "", value));
    return both;
  });
  byId("figures").replaceChildren(...nodes);
}

function warn(text) {
  setText(byId("warning"), text);
  byId("warning").hidden = text === "";
}

function drawState() {
  const isWell = latest.interfaces.every((one) => one.protected && !one.fault);
  const isMonitor = latest.totals.monitored.packets > 0;
  const state = !latest.active ? "off" : isWell ? "on" : "partly on";
  setText(byId("state"), state);
  byId("state").className = `badge ${latest.active && isWell ? "good" : "bad"}`;
  const monitor = isMonitor ? " · monitor mode lets through what would be dropped" : "";
  setText(byId("policy"), latest.active ? `generation ${latest.generation}${monitor}` : "nothing is dropped");
  const { pending } = latest;
  // Apart, for a reader of screens says the sentence once, and not the seconds.
  setText(byId("pending-text"), pending
    ? `Generation ${pending.generation} waits for guardctl confirm; without it, ${pending.then}.`
    : "");
  setText(byId("pending-left"), pending ? `${time(pending.seconds_left)} left` : "");
  byId("pending").hidden = !pending;
  const off = latest.active ? [] : ["guard is off: guardctl enable turns it on, and this page goes on by itself"];
  warn([...off, ...latest.notes].join(" · "));
  document.title = latest.active ? `guard: ${count(dropped(latest.totals))} dropped/s` : "guard: off";
}

function draw() {
  if (latest === null) {
    return;
  }
  drawState();
  drawChart();
  drawFigures();
  drawPorts();
  drawReasons();
  drawSources();
  drawBans();
  drawInterfaces();
}

function connection(isThere) {
  setText(byId("connection"), isThere ? "live" : "connection lost, trying again");
  byId("connection").className = `badge ${isThere ? "good" : "bad"}`;
  document.body.classList.toggle("away", !isThere);
}

function receive(event) {
  // What nobody saw is a gap in the chart.
  const missed = Math.min(60, Math.round((performance.now() - seen) / 1000) - 1);
  const snapshot = JSON.parse(event.data);
  connection(true);
  seen = performance.now();
  if (snapshot.error) {
    warn(snapshot.error);
    return;
  }
  for (let second = 0; latest !== null && second < missed; second += 1) {
    all.push(null, null);
  }
  latest = snapshot;
  all.push(latest.totals.passed.packets, dropped(latest.totals));
  draw();
}

function connect() {
  const source = new EventSource("events");
  source.addEventListener("message", receive);
  source.addEventListener("error", () => {
    connection(false);
    // Refused, and not just away: the browser would not try again.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(connect, RETRY);
    }
  });
}

byId("all-ports").addEventListener("click", () => {
  chosen = null;
  draw();
  byId("ports").focus({ preventScroll: true });
});
setInterval(() => {
  if (performance.now() - seen > PATIENCE) {
    connection(false);
  }
}, 1000);
connect();
