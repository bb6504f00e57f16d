"use strict";
// The page: its state is a code, a coordinate system with two axes, and two ends of a path.

const POINTS = 13; // of a path
const HEAT_LEVELS = [8, 16, 32, 64]; // cells along a side, from coarse to fine
const COLORS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999999"]; // P. Tol, bright
const SHAPES = ["circle", "square", "triangle", "diamond"];
const CIVIDIS = [[0, 32, 77], [58, 67, 108], [108, 110, 114], [149, 144, 119], [194, 178, 108], [255, 234, 70]];
const element = (id) => document.getElementById(id);

const data = JSON.parse(element("content").textContent);
const constants = data.constants.map(readConstant);
const K = data.units.mean.length, D = sizeOf(data.shape), smaller = Math.min(K, D), larger = Math.max(K, D);
const run = data.served ? servedFunctions() : embeddedFunctions();
const state = {condition: 0, code: Float64Array.from(data.units.mean), hidden: new Set(), ends: [], path: null};
const test = readExamples(data.test), train = readExamples(data.train);
test.errors = readConstant(data.test.errors);
const logDensity = mixture(train.codes, readConstant(data.train.logVariances), train.count, K);

function readExamples({count, examples, codes, classes}) {
  const values = readConstant(examples), isBytes = examples.dtype === "uint8";
  const scale = (data.high - data.low) / 255;
  const scaled = isBytes ? Float32Array.from(values, (byte) => data.low + scale * byte) : values;
  return {count, codes: readConstant(codes), classes, example: (i) => scaled.subarray(i * D, (i + 1) * D)};
}

// ---- the run's functions, of this page or of a server: each returns its outputs as new arrays, or a promise of them
// decode(code): [example]; encode(example): [code]; linearize(code): [example, rows of the Jacobian];
// spectrum(code): [singular values, and the metric if K <= D]; encoderSpectrum(example): [singular values]

function embeddedFunctions() {
  const spectrumOf = (f) => (...inputs) => {
    const products = gram(f(...inputs)[1], smaller, larger);
    return [rootsOf(eigenvalues(products, smaller)), products];
  };
  const made = {};
  for (const [name, program] of Object.entries(data.programs)) {
    const f = prepare(program, constants);
    made[name] = (...inputs) => f(...inputs).map((each) => each.slice());
  }
  if (made.linearize) made.spectrum = spectrumOf(made.linearize);
  if (made.linearizeEncoder) made.encoderSpectrum = spectrumOf(made.linearizeEncoder);
  return made;
}

// Numbers travel as float32 in little-endian order, inputs and outputs one after another.
function servedFunctions() {
  return Object.fromEntries(Object.entries(data.served).map(([name, sizes]) => [name, async (...inputs) => {
    const response = await fetch(name, {method: "POST", body: Float32Array.from(inputs.flatMap((each) => [...each]))});
    if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
    const values = new Float32Array(await response.arrayBuffer());
    let at = 0;
    return sizes.map((size) => values.subarray(at, at += size));
  }]));
}

const condition = () => data.conditions.length ? [[state.condition]] : [];
const decode = async (code) => (await run.decode(code, ...condition()))[0];
const linearize = (code) => run.linearize(code, ...condition());
const spectrum = (code) => run.spectrum(code, ...condition());
const reconstruct = async (example) => decode((await run.encode(example, ...condition()))[0]);

function distance(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum);
}

const rootMeanSquare = (a, b) => distance(a, b) / Math.sqrt(a.length);

// ½ log det JᵀJ; -Infinity where the decoder does not follow all directions of the code
async function logVolume(code) {
  const [values] = await spectrum(code);
  return values[K - 1] <= 1e-6 * values[0] ? -Infinity : values.reduce((sum, value) => sum + Math.log(value), 0);
}

const HEATS = {};
if (run.spectrum && K <= D) HEATS.volume = {name: "log-volume of the decoder, nats", value: logVolume};
HEATS.density = {name: `log density of codes, nats`, value: logDensity};
if (run.encode) {
  HEATS.error = {
    name: "reconstruction error, unit of data",
    value: async (code) => {
      const example = await decode(code);
      return rootMeanSquare(example, await reconstruct(example));
    },
  };
}

// ---- coordinates: c = basis (z - mean), one row of the basis for each coordinate

function coordinateSystem(kind) {
  const identity = Float64Array.from({length: K * K}, (_, i) => i % (K + 1) === 0 ? 1 : 0);
  const isComponents = kind === "components" && K > 1;
  const basis = isComponents ? Float64Array.from(readConstant(data.components.basis)) : identity;
  const mean = isComponents ? data.components.mean : new Array(K).fill(0);
  const deviations = isComponents ? data.components.deviation : data.units.deviation;
  const order = [...Array(K).keys()].sort((i, j) => deviations[j] - deviations[i]);
  const coordinates = (z) => Float64Array.from({length: K}, (_, i) => {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += basis[i * K + k] * (z[k] - mean[k]);
    return sum;
  });
  const code = (c) => Float64Array.from({length: K}, (_, k) => {
    let sum = mean[k];
    for (let i = 0; i < K; i++) sum += basis[i * K + k] * c[i];
    return sum;
  });
  const name = (i) => isComponents ? `component ${i + 1}` : `unit ${i + 1}`;
  const center = coordinates(data.units.mean);
  const points = Array.from({length: test.count}, (_, n) => coordinates(test.codes.subarray(n * K, (n + 1) * K)));
  return {basis, coordinates, code, name, order, deviations, center, points, axes: [order[0], order[1] ?? null]};
}

let system, view;

function chooseSystem(kind) {
  system = coordinateSystem(kind);
  for (const [place, id] of ["across", "up"].entries()) {
    element(id).replaceChildren(...system.order.map((i) => new Option(system.name(i), i)));
    if (system.axes[place] !== null) element(id).value = system.axes[place];
    element(id).disabled = K < 2;
  }
  chooseAxes();
}

function chooseAxes() {
  system.axes = [Number(element("across").value), K > 1 ? Number(element("up").value) : null];
  const range = (axis) => {
    if (axis === null) return [-1, 1];
    const sorted = system.points.map((point) => point[axis]).sort((a, b) => a - b);
    const at = (fraction) => sorted[Math.round(fraction * (sorted.length - 1))];
    const [low, high] = [at(0.002), at(0.998)], margin = 0.12 * (high - low) || 1;
    return [low - margin, high + margin];
  };
  view = system.axes.map(range);
  buildSliders();
  refresh();
}

const coordinatesNow = () => system.coordinates(state.code);

function buildSliders() {
  const shown = system.order.filter((i) => !system.axes.includes(i)).slice(0, 40);
  element("others").hidden = shown.length === 0;
  element("sliders").replaceChildren(...shown.map((i) => {
    const label = document.createElement("label"), input = document.createElement("input");
    const span = 3.5 * system.deviations[i] || 1;
    label.append(system.name(i).replace("component", "comp."), input, document.createElement("output"));
    Object.assign(input, {type: "range", min: system.center[i] - span, max: system.center[i] + span, step: "any"});
    input.dataset.coordinate = i;
    input.addEventListener("input", () => {
      const c = coordinatesNow();
      c[i] = Number(input.value);
      moveTo(system.code(c), {slice: true});
    });
    return label;
  }));
}

function showSliders() {
  const c = coordinatesNow();
  for (const input of element("sliders").querySelectorAll("input")) {
    const value = c[input.dataset.coordinate];
    input.value = value;
    input.nextSibling.textContent = value.toFixed(2).replace("-", "−");
  }
}

// ---- the plane

const plane = element("plane");
let layer = document.createElement("canvas"), places = []; // the drawn test examples: [x, y, index]

const jitter = (n) => ((n * 0.618034) % 1 - 0.5) * 0.9; // of a code with one unit, whose plane has one axis
const toScreen = (c, n = 0) => {
  const {clientWidth: width, clientHeight: height} = plane, [[left, right], [low, high]] = view, [i, j] = system.axes;
  const y = j === null ? jitter(n) : c[j];
  return [(c[i] - left) / (right - left) * width, height - (y - low) / (high - low) * height];
};
const fromScreen = (x, y) => {
  const {clientWidth: width, clientHeight: height} = plane, [[left, right], [low, high]] = view;
  return [left + x / width * (right - left), low + (height - y) / height * (high - low)];
};

function drawMarker(context, index, x, y, size) {
  context.fillStyle = index === undefined ? COLORS[0] : COLORS[index % COLORS.length];
  const shape = SHAPES[Math.floor((index ?? 0) / COLORS.length) % SHAPES.length];
  context.beginPath();
  if (shape === "circle") context.arc(x, y, size, 0, 7);
  else if (shape === "square") context.rect(x - 0.9 * size, y - 0.9 * size, 1.8 * size, 1.8 * size);
  else {
    const corners = shape === "triangle" ? [[0, -1.2], [1.1, 0.8], [-1.1, 0.8]] : [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]];
    corners.forEach(([dx, dy], k) => context[k ? "lineTo" : "moveTo"](x + dx * size, y + dy * size));
    context.closePath();
  }
  context.fill();
  context.stroke();
}

// Draws what does not depend on the pointer: heat map, axes, test examples.
function drawLayer() {
  const ratio = window.devicePixelRatio || 1, {clientWidth: width, clientHeight: height} = plane;
  [layer.width, layer.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  const context = layer.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = css("--page");
  context.fillRect(0, 0, width, height);
  if (heat.image) context.drawImage(heat.image, 0, 0, width, height);
  drawAxes(context, width, height);
  const size = Math.max(2, Math.min(4.5, 110 / Math.sqrt(test.count)));
  context.strokeStyle = css("--page");
  context.lineWidth = 0.7;
  places = [];
  system.points.forEach((c, n) => {
    if (state.hidden.has(test.classes[n])) return;
    const [x, y] = toScreen(c, n);
    places.push([x, y, n]);
    drawMarker(context, test.classes[n], x, y, size);
  });
}

function drawAxes(context, width, height) {
  context.fillStyle = heat.image ? "#ffffff" : css("--quiet");
  context.strokeStyle = css("--line");
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  const write = (text, x, y) => {
    if (heat.image) {
      [context.strokeStyle, context.lineWidth, context.lineJoin] = ["#000000b0", 3, "round"];
      context.strokeText(text, x, y);
    }
    context.fillText(text, x, y);
  };
  for (const [place, [low, high]] of view.entries()) {
    if (system.axes[place] === null) continue;
    for (const value of ticks(low, high)) {
      const fraction = (value - low) / (high - low);
      if (place === 0) {
        if (!heat.image) line(context, [[fraction * width, 0], [fraction * width, height]]);
        write(short(value), fraction * width, height - 6);
      } else {
        if (!heat.image) line(context, [[0, height - fraction * height], [width, height - fraction * height]]);
        write(short(value), 18, height - fraction * height - 3);
      }
    }
  }
  context.textAlign = "right";
  context.font = "12px system-ui, sans-serif";
  write(system.name(system.axes[0]), width - 6, height - 20);
  if (system.axes[1] !== null) {
    context.textAlign = "left";
    write(system.name(system.axes[1]), 6, 14);
  }
}

function ticks(low, high) {
  const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((each) => each >= rough);
  const first = Math.ceil((low + 0.06 * (high - low)) / step) * step, values = [];
  for (let value = first; value < high - 0.03 * (high - low); value += step) values.push(Math.abs(value) < 1e-9 * step ? 0 : value);
  return values;
}

function drawPlane() {
  const {context, width, height} = fitted(plane);
  context.drawImage(layer, 0, 0, width, height);
  const [x, y] = toScreen(coordinatesNow()).map((value, axis) => axis && system.axes[1] === null ? height / 2 : value);
  if (state.path) {
    for (const [codes, dash] of [[state.path.straight, [6, 4]], [state.path.geodesic, []]]) {
      context.setLineDash(dash);
      for (const [style, wide] of [[css("--page"), 5], [css("--ink"), 2]]) {
        [context.strokeStyle, context.lineWidth] = [style, wide];
        line(context, codes.map((code) => toScreen(system.coordinates(code))));
      }
    }
    context.setLineDash([]);
  }
  const strokes = heat.image ? [["#00000099", 4], ["#ffffff", 1.8]] : [[css("--pointer"), 1.8]];
  for (const [style, wide] of strokes) { // a dark edge makes white visible on bright heat
    [context.strokeStyle, context.lineWidth] = [style, wide];
    if (state.ellipse) line(context, state.ellipse.map(([dx, dy]) => [x + dx, y + dy]));
    line(context, [[x - 7, y], [x + 7, y]]);
    line(context, [[x, y - 7], [x, y + 7]]);
  }
  const chosen = places.find(([, , n]) => n === state.example);
  if (chosen) {
    context.beginPath();
    context.arc(chosen[0], chosen[1], 8, 0, 7);
    context.stroke();
  }
  state.ends.forEach((code, i) => {
    const [ex, ey] = toScreen(system.coordinates(code));
    context.fillStyle = css("--ink");
    context.beginPath();
    context.arc(ex, ey, 8, 0, 7);
    context.fill();
    context.fillStyle = css("--page");
    context.font = "bold 11px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText("AB"[i], ex, ey + 4);
  });
}

// The ellipse of directions d in the plane, in pixels, with dᵀ JᵀJ d = radius², for the metric JᵀJ (K, K).
function ellipseOf(metric) {
  if (system.axes[1] === null || K > D) return null;
  const {clientWidth: width, clientHeight: height} = plane;
  const [across, up] = system.axes.map((axis) => system.basis.slice(axis * K, (axis + 1) * K));
  const [a, b, c] = [[across, across], [across, up], [up, up]].map(([u, v]) => {
    let sum = 0;
    for (let i = 0; i < K; i++) for (let j = 0; j < K; j++) sum += u[i] * metric[i * K + j] * v[j];
    return sum;
  });
  if (!(a * c - b * b > 1e-12 * a * c)) return null;
  const scale = [width / (view[0][1] - view[0][0]), height / (view[1][1] - view[1][0])];
  return Array.from({length: 65}, (_, i) => {
    const [p, q] = [Math.cos(i * Math.PI / 32), Math.sin(i * Math.PI / 32)];
    const long = data.radius / Math.sqrt(a * p * p + 2 * b * p * q + c * q * q);
    return [long * p * scale[0], -long * q * scale[1]];
  });
}

// ---- heat map: computed a few milliseconds at a time, from coarse to fine

const heat = {kind: "", image: null, job: null};

async function* heatJob(kind) {
  const value = HEATS[kind].value, base = coordinatesNow();
  for (const side of HEAT_LEVELS) {
    const values = new Float64Array(side * side);
    for (let i = 0; i < values.length; i++) {
      const c = base.slice(), [[left, right], [low, high]] = view;
      c[system.axes[0]] = left + ((i % side) + 0.5) / side * (right - left);
      if (system.axes[1] !== null) c[system.axes[1]] = high - (Math.floor(i / side) + 0.5) / side * (high - low);
      values[i] = await value(system.code(c));
      yield;
    }
    paintHeat(values, side);
  }
}

function heatColor(fraction) {
  const at = Math.max(0, Math.min(1, fraction)) * (CIVIDIS.length - 1), low = Math.min(Math.floor(at), CIVIDIS.length - 2);
  return CIVIDIS[low].map((value, i) => value + (CIVIDIS[low + 1][i] - value) * (at - low));
}

function paintHeat(values, side) {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  const [low, high] = sorted.length ? [0.02, 0.98].map((f) => sorted[Math.round(f * (sorted.length - 1))]) : [0, 1];
  const image = document.createElement("canvas");
  image.width = image.height = side;
  const context = image.getContext("2d"), pixels = context.createImageData(side, side);
  values.forEach((value, i) => {
    const fraction = value === -Infinity ? 0 : (value - low) / (high - low || 1);
    pixels.data.set([...heatColor(Number.isNaN(fraction) ? 0 : fraction), 255], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  Object.assign(heat, {image, low, high, side});
  element("scale").hidden = false;
  element("scale-low").textContent = short(low);
  element("scale-high").textContent = short(high);
  element("scale-name").textContent = HEATS[heat.kind].name;
  const bar = fitted(element("scale-bar"));
  for (let x = 0; x < bar.width; x++) {
    bar.context.fillStyle = `rgb(${heatColor(x / bar.width).map(Math.round)})`;
    bar.context.fillRect(x, 0, 1.5, bar.height);
  }
  drawLayer();
  drawPlane();
}

function startHeat() {
  heat.kind = element("heat").value;
  if (!heat.kind) {
    Object.assign(heat, {image: null, job: null});
    element("scale").hidden = true;
  } else {
    heat.job = heatJob(heat.kind);
  }
}

// ---- work in the background, in slices of a few milliseconds

let ticking = false; // one tick at a time: it waits for what a server computes

function keepTicking() {
  if (ticking) return;
  ticking = true;
  requestAnimationFrame(() => tick().catch(tell));
}

async function tick() {
  const start = performance.now(), isWorking = () => performance.now() - start < 9;
  try {
    if (state.due) {
      state.due = false;
      await show();
    }
    for (const owner of [pathing, heat]) {
      while (owner.job && isWorking()) {
        const job = owner.job, {done} = await job.next();
        if (done && owner.job === job) owner.job = null; // another one may have begun
      }
    }
  } finally {
    ticking = false;
  }
  if (state.due || heat.job || pathing.job) keepTicking();
}

function tell(error) {
  element("notes").textContent = data.served
    ? `The server of this page does not answer (${error.message}); start it again, and reload.` : error.message;
  console.error(error);
}

// ---- the example at the pointer

let costOfJacobian = 0, atRest = null;

// Moves the pointer to a code; `slice`: coordinates other than those of the plane have changed.
function moveTo(code, {slice = false} = {}) {
  state.code = code;
  if (slice) {
    startHeat();
    showSliders();
  }
  state.due = true;
  keepTicking();
}

async function show() {
  const example = state.decoded = await decode(state.code);
  showExamples(example);
  state.ellipse = null;
  clearTimeout(atRest);
  if (run.spectrum) {
    if (costOfJacobian < 12) await showJacobian(example);
    else atRest = setTimeout(() => showJacobian(example).then(drawPlane, tell), 120);
  }
  drawPlane();
}

function showExamples(example) {
  let best = 0, least = Infinity;
  for (let n = 0; n < train.count; n++) {
    const other = train.example(n);
    let sum = 0;
    for (let d = 0; d < D && sum < least; d++) sum += (example[d] - other[d]) ** 2;
    if (sum < least) [best, least] = [n, sum];
  }
  const near = train.example(best), original = state.example === undefined ? null : test.example(state.example);
  drawExample(element("decoded"), example, data, original ?? near);
  drawExample(element("nearest"), near, data);
  const overlaid = ["image", "roll"].includes(data.layout) ? "" : `, ${data.layout === "row" ? "dark lines" : "gray"}: ${original ? "the test example" : "the training example"},`;
  element("decoded").nextElementSibling.querySelector("b").textContent = `decoded${overlaid}`;
  element("nearest-caption").textContent =
    `nearest training example${classOf(train, best)}, RMSE ${short(Math.sqrt(least / D))}`;
  element("original").style.visibility = original ? "visible" : "hidden";
  if (original) {
    drawExample(element("original"), original, data);
    element("original-caption").textContent =
      `test example ${state.example + 1}${classOf(test, state.example)}, decoded with RMSE ${short(test.errors[state.example])}`;
  } else {
    element("original-caption").textContent = "move onto a point for its test example";
  }
  if (data.layout === "row") showRow(example, near, original);
}

const classOf = (split, n) => split.classes.length ? `, class ${data.classes[split.classes[n]]}` : "";

function showRow(...examples) {
  const rows = [["column", "decoded", "training", "test"]];
  for (let d = 0; d < D; d++) rows.push([`column ${d + 1}`, ...examples.map((each) => each ? short(each[d]) : "")]);
  const table = document.createElement("table");
  rows.forEach((cells, i) => {
    const row = table.insertRow();
    for (const cell of cells) {
      const made = row.appendChild(document.createElement(i ? "td" : "th"));
      made.textContent = cell;
    }
  });
  element("row").replaceChildren(table);
}

async function showJacobian(example) {
  const start = performance.now(), code = state.code, [decoder, metric] = await spectrum(code);
  const [encoder] = run.encoderSpectrum ? await run.encoderSpectrum(example, ...condition()) : [[]];
  const values = await Promise.all(Object.values(HEATS).map(({value}) => value(code)));
  costOfJacobian = 0.7 * costOfJacobian + 0.3 * (performance.now() - start);
  if (state.code !== code) return; // the pointer has moved on
  state.ellipse = ellipseOf(metric);
  const lines = [
    ["local intrinsic dimension of the decoder", `${intrinsicDimension(decoder)} of ${smaller}`],
    ["largest, smallest singular value, decoder", `${short(decoder[0])}, ${short(decoder[smaller - 1])}`],
  ];
  if (encoder.length) lines.push(["largest, smallest singular value, encoder", `${short(encoder[0])}, ${short(encoder[smaller - 1])}`]);
  Object.values(HEATS).forEach(({name}, i) => lines.push([name, short(values[i])]));
  showReadout(lines);
  drawSpectrum(decoder, encoder);
}

function showReadout(lines) {
  element("readout").replaceChildren(...lines.flatMap(([name, value]) => {
    const [term, definition] = ["dt", "dd"].map((tag) => document.createElement(tag));
    [term.textContent, definition.textContent] = [name, value];
    return [term, definition];
  }));
}

function drawSpectrum(decoder, encoder) {
  const {context, width, height} = fitted(element("spectrum")), bottom = height - 14, slot = (width - 4) / smaller;
  context.fillStyle = css("--quiet");
  context.font = "11px system-ui, sans-serif";
  const every = Math.ceil(smaller / (width / 26));
  context.textAlign = "center";
  for (let i = 0; i < smaller; i += every) context.fillText(String(i + 1), 2 + (i + 0.5) * slot, height - 2);
  for (const [values, color, shift] of [[decoder, css("--ours"), 0.08], [encoder, css("--theirs"), 0.5]]) {
    context.fillStyle = color;
    values.forEach((value, i) => {
      const high = Math.max(1, (bottom - 4) * value / (values[0] || 1));
      context.fillRect(2 + (i + shift) * slot, bottom - high, Math.max(0.7, 0.4 * slot), high);
    });
  }
}

// ---- paths

const pathing = {job: null};

async function* pathJob(path, [start, end]) {
  const search = geodesic(start, end, POINTS, linearize, decode);
  path.isDone = false;
  let step = await search.next();
  while (!step.done) {
    yield;
    if (path.geodesic !== step.value) {
      path.geodesic = step.value;
      drawPlane();
      await drawPaths();
    }
    step = await search.next();
  }
  Object.assign(path, {geodesic: step.value, isDone: true});
  drawPlane();
  await drawPaths();
}

const hasGeodesics = () => run.linearize && K <= D;

function addEnd(code) {
  if (state.ends.length === 2) state.ends = [];
  state.ends.push(code);
  state.path = pathing.job = null;
  element("strips").hidden = true;
  element("path-help").textContent = state.ends.length === 1 ? "Now choose the other end of the path." : "";
  if (state.ends.length === 2) {
    const straight = straightPath(...state.ends, POINTS);
    state.path = {straight, geodesic: straight, isDone: !hasGeodesics()};
    element("strips").hidden = false;
    drawPaths().catch(tell);
    if (hasGeodesics()) pathing.job = pathJob(state.path, state.ends);
  }
  drawPlane();
  keepTicking();
}

function removePath() {
  Object.assign(state, {ends: [], path: null});
  pathing.job = null;
  element("strips").hidden = true;
  drawPlane();
}

async function drawPaths() {
  const path = state.path;
  for (const kind of ["straight", "geodesic"]) {
    const codes = path[kind], examples = await Promise.all(codes.map(decode));
    if (state.path !== path || path[kind] !== codes) return; // drawn by a later call
    const title = kind === "straight" ? "Straight path" : path.isDone ? "Geodesic" : "Geodesic, in progress";
    element(`${kind}-title`).textContent = `${title}, from A to B: length ${short(lengthOf(examples))} unit of data`;
    drawStrip(element(kind), examples);
  }
}

const cell = document.createElement("canvas");

function drawStrip(canvas, examples) {
  const {context, width, height} = fitted(canvas), step = width / examples.length;
  Object.assign(cell.style, {position: "absolute", left: "-9999px", width: `${step - 4}px`, height: `${height}px`});
  document.body.append(cell); // a canvas has a size only within the page
  examples.forEach((example, t) => {
    drawExample(cell, example, data);
    context.drawImage(cell, t * step + 2, 0, step - 4, height);
  });
  cell.remove();
}

// ---- input

function pointAt(x, y) {
  const near = places.map(([px, py, n]) => [Math.hypot(px - x, py - y), n]).sort((a, b) => a[0] - b[0])[0];
  state.example = near && near[0] < 12 ? near[1] : undefined;
  const c = coordinatesNow(), [across, up] = fromScreen(x, y);
  c[system.axes[0]] = across;
  if (system.axes[1] !== null) c[system.axes[1]] = up;
  moveTo(system.code(c));
}

const codeOf = (n) => Float64Array.from(test.codes.subarray(n * K, (n + 1) * K));

function chooseHere() {
  if (state.example !== undefined) {
    if (data.conditions.length) chooseCondition(state.example);
    moveTo(codeOf(state.example), {slice: true});
  }
  addEnd(state.code);
}

// A conditional run decodes a test example as its own class.
function chooseCondition(n) {
  const place = data.conditions.indexOf(data.classes[test.classes[n]]);
  if (place >= 0) element("condition").value = state.condition = place;
}

let pressed = null;
const positionOf = (event) => {
  const box = plane.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
plane.addEventListener("pointerdown", (event) => {
  pressed = positionOf(event);
  plane.setPointerCapture(event.pointerId);
  plane.focus({preventScroll: true});
  pointAt(...pressed);
});
plane.addEventListener("pointermove", (event) => pointAt(...positionOf(event)));
plane.addEventListener("pointerup", (event) => {
  const [x, y] = positionOf(event);
  if (pressed && Math.hypot(x - pressed[0], y - pressed[1]) < 6) chooseHere();
  pressed = null;
});
plane.addEventListener("pointercancel", () => { pressed = null; });
plane.addEventListener("keydown", (event) => {
  const moves = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  const {clientWidth: width, clientHeight: height} = plane;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in moves) {
    const [x, y] = toScreen(coordinatesNow()), [dx, dy] = moves[event.key], step = event.shiftKey ? 0.004 : 0.02;
    const within = (value, size) => Math.max(0, Math.min(size, value));
    pointAt(within(x + dx * step * width, width), within(y + dy * step * height, height));
  } else if (event.key === "Enter") {
    chooseHere();
  } else if (event.key === "Escape") {
    removePath();
  } else if (["n", "p"].includes(event.key.toLowerCase()) && places.length) {
    const at = places.findIndex(([, , n]) => n === state.example), step = event.key.toLowerCase() === "n" ? 1 : -1;
    state.example = places[(at + step + places.length) % places.length][2];
    if (data.conditions.length) chooseCondition(state.example);
    moveTo(codeOf(state.example), {slice: true});
  } else {
    return;
  }
  event.preventDefault();
});

function refresh() {
  startHeat();
  showSliders();
  drawLayer();
  if (state.path) drawPaths().catch(tell);
  state.due = true;
  keepTicking();
}

function buildLegend() {
  element("classes").replaceChildren(...data.classes.map((name, index) => {
    const button = document.createElement("button"), mark = document.createElement("canvas");
    mark.width = mark.height = 24;
    const context = mark.getContext("2d");
    context.strokeStyle = "transparent";
    drawMarker(context, index, 12, 12, 9);
    button.type = "button";
    button.append(mark, name);
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      state.hidden.has(index) ? state.hidden.delete(index) : state.hidden.add(index);
      button.setAttribute("aria-pressed", String(!state.hidden.has(index)));
      drawLayer();
      drawPlane();
    });
    return button;
  }));
}

// The lowest and the highest key that sounds in a training example.
function soundingKeys() {
  const keys = data.shape[1], sounds = [...Array(keys).keys()].filter((key) => {
    for (let n = 0; n < train.count; n++) {
      const roll = train.example(n);
      for (let at = key; at < D; at += keys) if (roll[at] > (data.low + data.high) / 2) return true;
    }
    return false;
  });
  return sounds.length ? [sounds[0], sounds[sounds.length - 1]] : [0, keys - 1];
}

function begin() {
  if (data.layout === "roll") data.keys = soundingKeys();
  element("subtitle").textContent = data.subtitle;
  element("notes").textContent = data.notes.join(" ");
  document.body.classList.toggle("curves", !["image", "roll"].includes(data.layout));
  element("row").hidden = data.layout !== "row";
  element("spectrum-figure").hidden = !run.spectrum;
  element("density-help").textContent = "Density of codes: " + (data.isVariational
    ? "the mean of the posteriors of the training examples in this page, the aggregate posterior, in nats."
    : "a Gaussian kernel density of the codes of the training examples in this page (Scott's rule), in nats.");
  for (const [kind, {name}] of Object.entries(HEATS)) element("heat").append(new Option(name.split(",")[0], kind));
  element("condition").replaceChildren(...data.conditions.map((name, k) => new Option(name, k)));
  element("condition-label").hidden = !data.conditions.length;
  element("condition").addEventListener("change", () => {
    state.condition = Number(element("condition").value);
    if (state.path && hasGeodesics()) pathing.job = pathJob(state.path, state.ends);
    refresh();
  });
  element("system").disabled = K < 2;
  element("system").addEventListener("change", () => chooseSystem(element("system").value));
  for (const [id, other] of [["across", "up"], ["up", "across"]]) {
    element(id).addEventListener("change", () => {
      if (element(id).value === element(other).value) {
        element(other).value = system.order.find((i) => i !== Number(element(id).value));
      }
      chooseAxes();
    });
  }
  element("heat").addEventListener("change", refresh);
  element("reset").addEventListener("click", () => {
    const c = coordinatesNow();
    for (let i = 0; i < K; i++) if (!system.axes.includes(i)) c[i] = system.center[i];
    moveTo(system.code(c), {slice: true});
  });
  const player = new Player(), play = element("play");
  play.hidden = data.layout !== "roll";
  play.addEventListener("click", () => {
    const isPlaying = play.textContent === "stop";
    play.textContent = isPlaying ? "play" : "stop";
    if (isPlaying) player.stop();
    else player.play(state.decoded, data, () => { play.textContent = "play"; });
  });
  element("others").open = matchMedia("(min-width: 52rem)").matches;
  buildLegend();
  chooseSystem("components");
  new ResizeObserver(refresh).observe(plane);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
}

// for the browser's console
window.explorer = {data, state, run, decode, linearize, reconstruct, singularValues, logVolume, logDensity, geodesic, moveTo, show};
begin();
