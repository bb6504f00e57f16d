"use strict";
// The plane of two coordinates: axes, test examples, the pointer with its ellipse, the ends and the paths.

const COLORS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999999"]; // P. Tol, bright
const SHAPES = ["circle", "square", "triangle", "diamond"];
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
  if (!layer.width || !layer.height) return; // the page has no size yet
  const {context, width, height} = fitted(plane);
  context.drawImage(layer, 0, 0, width, height);
  const [x, y] = toScreen(coordinatesNow()).map((value, axis) => axis && system.axes[1] === null ? height / 2 : value);
  if (state.path) {
    for (const [path, dash] of [[state.path.straight, [6, 4]], [state.path.geodesic, []]]) {
      if (!path) continue;
      context.setLineDash(dash);
      for (const [style, wide] of [[css("--page"), 5], [css("--ink"), 2]]) {
        [context.strokeStyle, context.lineWidth] = [style, wide];
        line(context, path.codes.map((code) => toScreen(system.coordinates(code))));
      }
    }
    context.setLineDash([]);
  }
  const ellipse = state.atPointer && ellipseOf(state.atPointer);
  const strokes = heat.image ? [["#00000099", 4], ["#ffffff", 1.8]] : [[css("--pointer"), 1.8]];
  for (const [style, wide] of strokes) { // a dark edge makes white visible on bright heat
    [context.strokeStyle, context.lineWidth] = [style, wide];
    if (ellipse) line(context, ellipse);
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

// The ellipse around a code, in pixels, of directions d in the plane with dᵀ JᵀJ d = radius², for the metric JᵀJ (K, K).
function ellipseOf({code, metric}) {
  if (system.axes[1] === null || K > D) return null;
  const {clientWidth: width, clientHeight: height} = plane;
  const [across, up] = system.axes.map((axis) => system.basis.slice(axis * K, (axis + 1) * K));
  const [a, b, c] = [[across, across], [across, up], [up, up]].map(([u, v]) => {
    let sum = 0;
    for (let i = 0; i < K; i++) for (let j = 0; j < K; j++) sum += u[i] * metric[i * K + j] * v[j];
    return sum;
  });
  if (!(a * c - b * b > 1e-12 * a * c)) return null;
  const [x, y] = toScreen(system.coordinates(code)), scale = [width / (view[0][1] - view[0][0]), height / (view[1][1] - view[1][0])];
  return Array.from({length: 65}, (_, i) => {
    const [p, q] = [Math.cos(i * Math.PI / 32), Math.sin(i * Math.PI / 32)];
    const long = data.radius / Math.sqrt(a * p * p + 2 * b * p * q + c * q * q);
    return [x + long * p * scale[0], y - long * q * scale[1]];
  });
}

