// The Markdown of a run: first one short table (the best of each backend against the best peer), then one table a group of cases.

const GROUPS = {
  noise: "Noise, float32",
  dense: "Dense moves",
  sparse: "Sparse moves",
  redraw: "Redraws of rare moves by an index, in a mapped file",
  rms: "Sum of squares",
};
const UNIT = { L2: "L2", memory: "memory" };

const rate = (x) => (x >= 99.95 ? Math.round(x).toLocaleString("en-US") : x.toFixed(1));
const ratio = (x) =>
  x === undefined || !Number.isFinite(x) ? "" : `${x >= 99.5 ? Math.round(x) : x >= 9.95 ? x.toFixed(1) : x.toFixed(2)} x`;
const share = (x) => `${(100 * x).toFixed(0)} %`;
const gigabytes = (x) => (x / 1e9).toFixed(x < 1e10 ? 2 : 1);
const nanoseconds = (x) => Math.round(x * 1e9).toLocaleString("en-US");

/** A Markdown table; all columns but the first `left` ones are numbers. */
function table(head, rows, left = 1) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i < left ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

const CASE_NAMES = {
  stochastic: "int8 stochastic rounding",
  wholeStochastic: "the same by whole-array operations, 1 M weights",
};

/** The peers' case that a case is compared with: moves are all compared with stochastic rounding on int8. */
const peerCase = (result) =>
  result.group === "noise" ? result.case : ["dense", "sparse", "redraw"].includes(result.group) ? "stochastic" : null;

/** The quickest peer of a case, or null; of those that run in Node, where `inNode` is set. */
function bestPeer(results, result, inNode = false) {
  const of = results.filter((r) => r.group === "peers" && r.case === peerCase(result) && !(inNode && r.version));
  return of.reduce((best, r) => (best === null || r.millionPerSecond > best.millionPerSecond ? r : best), null);
}

/** Bytes a second of a limit in the same working set. */
function limit(results, kind, set) {
  return results.find((r) => r.group === "limits" && r.case === kind && r.workingSet === set)?.bytesPerSecond;
}

export function markdown({ machine, results, files }) {
  const size = (set) => `${machine.workingSets[set] / 1024 / (set === "L2" ? 1 : 1024)} ${set === "L2" ? "KiB" : "MiB"}`;
  const sections = [
    `${machine.processor}, ${machine.cores} cores, ${machine.system}, Node ${machine.node}; one thread${machine.pinned ? ", pinned" : ""}; ` +
      `medians of ${machine.rounds} process${machine.rounds === 1 ? "" : "es"}. Working sets: L2 ${size("L2")}, memory ${size("memory")}.`,
    section("At a glance", glance(results)),
    section("Limits and peers", limitsAndPeers(results)),
    ...Object.entries(GROUPS).map(([group, title]) => section(title, groupTable(results, group))),
    section("Calls on 64 elements", calls(results)),
    section("Threads", threadTable(results)),
    section("First import", starts(results)),
    section("Files", files ? fileTable(files) : null),
  ];
  return `${sections.filter((s) => s !== null).join("\n\n")}\n`;
}

const section = (title, body) => (body === null ? null : `### ${title}\n\n${body}`);

/** The quickest variant of each backend, in million/s; rare moves in memory, where they were measured there, the others in the cache. */
function glance(results) {
  const names = [...new Set(results.filter((r) => GROUPS[r.group]).map((r) => `${r.group}/${r.case}`))];
  if (names.length === 0) return null;
  const rows = names.map((name) => {
    const of = results.filter((r) => `${r.group}/${r.case}` === name);
    const wanted = ["sparse", "redraw"].includes(of[0].group) && of.some((r) => r.workingSet === "memory") ? "memory" : "L2";
    const best = (backend) => {
      const all = of.filter((r) => r.backend === backend);
      const here = all.filter((r) => r.workingSet === wanted);
      return (here.length > 0 ? here : all).sort((a, b) => b.millionPerSecond - a.millionPerSecond)[0] ?? null;
    };
    const [native, wasm, js] = ["native", "wasm", "js"].map(best);
    const peer = bestPeer(results, of[0]);
    const nodePeer = bestPeer(results, of[0], true);
    const cell = (r) => (r === null ? "" : rate(r.millionPerSecond));
    const named = (r) => (r === null ? "" : `${r.label} ${rate(r.millionPerSecond)}`);
    const over = (r, to) => (r === null || to === null ? "" : ratio(r.millionPerSecond / to.millionPerSecond));
    return [
      of[0].case,
      wanted,
      cell(native),
      cell(wasm),
      cell(js),
      named(peer),
      over(native, peer),
      over(wasm, peer),
      named(nodePeer),
      over(js, nodePeer),
    ];
  });
  const head = [
    "kernel",
    "working set",
    "native",
    "WASM",
    "JS",
    "best peer",
    "native to it",
    "WASM to it",
    "best peer in Node",
    "JS to it",
  ];
  return table(head, rows, 2);
}

function limitsAndPeers(results) {
  const rows = results
    .filter((r) => r.group === "limits" || r.group === "peers")
    .map((r) => [
      r.group === "limits" ? r.label : (CASE_NAMES[r.case] ?? r.case),
      r.group === "limits" ? "C" : r.version ? `${r.label} (${r.version})` : r.label,
      UNIT[r.workingSet],
      rate(r.millionPerSecond),
      gigabytes(r.bytesPerSecond),
      share(r.spread),
    ]);
  return rows.length === 0 ? null : table(["what", "by", "working set", "million/s", "GB/s", "spread"], rows, 3);
}

function groupTable(results, group) {
  const of = results.filter((r) => r.group === group);
  if (of.length === 0) return null;
  const limits = group === "rms" ? { "to read": "read" } : { "to memcpy": "copy", "to read-modify-write": "rmw" };
  const rows = of.map((r) => {
    const peer = bestPeer(results, r);
    return [
      r.case,
      r.label,
      UNIT[r.workingSet],
      rate(r.millionPerSecond),
      gigabytes(r.bytesPerSecond),
      share(r.spread),
      ...Object.values(limits).map((kind) => ratio(r.bytesPerSecond / limit(results, kind, r.workingSet))),
      ...(group === "rms" ? [] : [peer ? ratio(r.millionPerSecond / peer.millionPerSecond) : ""]),
    ];
  });
  const peer = bestPeer(results, of[0]);
  const last = group === "rms" ? [] : [peer ? `to ${peer.label}` : "to peers"];
  // The best peer of normals need not be that of uniforms: then the column says so in general.
  if (group === "noise") last[0] = "to the best peer";
  return table(["kernel", "backend", "working set", "million/s", "GB/s", "spread", ...Object.keys(limits), ...last], rows, 3);
}

function calls(results) {
  const rows = results
    .filter((r) => r.group === "calls")
    .map((r) => [r.case, r.label, nanoseconds(r.seconds), share(r.spread), nanoseconds(r.overheadSeconds)]);
  return rows.length === 0 ? null : table(["call", "backend", "ns", "spread", "ns, of which for the call itself"], rows, 2);
}

function threadTable(results) {
  const of = results.filter((r) => r.group === "threads");
  if (of.length === 0) return null;
  const rows = of.map((r) => {
    const one = of.find((o) => o.case === r.case && o.label.includes("1 thread"));
    const over = r === one || one === undefined ? "" : ratio(r.millionPerSecond / one.millionPerSecond);
    return [`${r.case}, perturbAsync`, r.label, rate(r.millionPerSecond), share(r.spread), over];
  });
  return table(["kernel", "backend", "million/s", "spread", "to one thread"], rows, 2);
}

const milliseconds = (seconds) => (seconds * 1e3).toFixed(1);

function starts(results) {
  const rows = results
    .filter((r) => r.group === "start")
    .map((r) => [r.label, milliseconds(r.seconds), share(r.spread), milliseconds(r.workSeconds), (r.bytes / 1e6).toFixed(1)]);
  return rows.length === 0 ? null : table(["backend", "ms", "spread", "ms of work", "MB of memory"], rows);
}

function fileTable(files) {
  const copy = files.find((f) => f.what === "cp");
  const rows = files.map((f) => [
    f.what,
    f.seconds.toFixed(2),
    share(f.spread),
    gigabytes(f.bytes / f.seconds),
    f === copy ? "" : ratio(copy.seconds / f.seconds),
  ]);
  return table([`${gigabytes(copy.bytes)} GB of Q8_0 in the page cache`, "s", "spread", "GB/s", "speed to cp's"], rows);
}
