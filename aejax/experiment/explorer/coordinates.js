"use strict";
// Coordinates of the code, c = basis (z - mean) with one row of the basis for each; two are the axes of the plane, the
// others have sliders.

let system, view; // view: the range of either axis

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

