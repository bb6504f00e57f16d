"use strict";
// Heat maps of the plane: the worker computes them from coarse to fine.

const CIVIDIS = [[0, 32, 77], [58, 67, 108], [108, 110, 114], [149, 144, 119], [194, 178, 108], [255, 234, 70]];
const heat = {kind: "", image: null};

function startHeat() {
  heat.kind = element("heat").value;
  if (!heat.kind) {
    heat.image = null;
    element("scale").hidden = true;
    cancel("heat");
    return;
  }
  const [[left, right], [low, high]] = view, [i, j] = system.axes;
  const at = (x, y) => {
    const c = coordinatesNow();
    c[i] = x;
    if (j !== null) c[j] = y;
    return system.code(c);
  };
  const corner = at(left, high), side = (code) => code.map((value, k) => value - corner[k]);
  ask("heat", {kind: heat.kind, corner, across: side(at(right, high)), down: side(at(left, low))}, paintHeat);
}

function heatColor(fraction) {
  const at = Math.max(0, Math.min(1, fraction)) * (CIVIDIS.length - 1), low = Math.min(Math.floor(at), CIVIDIS.length - 2);
  return CIVIDIS[low].map((value, i) => value + (CIVIDIS[low + 1][i] - value) * (at - low));
}

function paintHeat({values, side}) {
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
  element("scale-name").textContent = HEATS[heat.kind];
  const bar = fitted(element("scale-bar"));
  for (let x = 0; x < bar.width; x++) {
    bar.context.fillStyle = `rgb(${heatColor(x / bar.width).map(Math.round)})`;
    bar.context.fillRect(x, 0, 1.5, bar.height);
  }
  drawLayer();
  drawPlane();
}

