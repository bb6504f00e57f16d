"use strict";
// The example at the pointer, which this thread decodes, and the spectra of the Jacobians, which the worker computes.

let isShowing = false, isDue = false; // one code at a time: it waits for what a server computes
let isAsked = false; // whether the worker computes; it is asked again when it has answered
let costOfSpectra = 0, atRest = null; // milliseconds of the last answer; a timer

// Moves the pointer to a code; `slice`: coordinates other than those of the plane have changed.
function moveTo(code, {slice = false} = {}) {
  state.code = code;
  if (slice) {
    startHeat();
    showSliders();
  }
  showSoon();
}

function showSoon() {
  isDue = true;
  if (isShowing) return;
  isShowing = true;
  requestAnimationFrame(() => show().catch(tell).finally(() => {
    isShowing = false;
    if (isDue) showSoon();
  }));
}

async function show() {
  isDue = false;
  const [example, row] = await decodeRow(state.code);
  state.decoded = example;
  showExamples(example, row);
  drawPlane();
  askAtPointer();
}

// Spectra that take long are asked for when the pointer rests: they would slow down the decoder, in particular a server's.
function askAtPointer() {
  clearTimeout(atRest);
  if (!has("linearize") || isAsked) return;
  if (costOfSpectra < 100) askForSpectra();
  else atRest = setTimeout(askForSpectra, 120);
}

function askForSpectra() {
  isAsked = true;
  const start = performance.now(), asked = state.code, decodedAs = state.condition;
  ask("pointer", {code: asked}, (found) => {
    isAsked = false;
    costOfSpectra = performance.now() - start;
    state.atPointer = found;
    showSpectra(found);
    drawPlane();
    if (state.code !== asked || state.condition !== decodedAs) askAtPointer();
  });
}

// Returns the training example with the smallest mean squared difference, over the values that it has.
function nearestTo(example) {
  let best = 0, least = Infinity;
  for (let n = 0; n < train.count; n++) {
    const other = train.example(n);
    let sum = 0, known = 0;
    for (let d = 0; d < D && sum < least * D; d++) {
      if (Number.isNaN(other[d])) continue;
      sum += (example[d] - other[d]) ** 2;
      known++;
    }
    if (sum < least * known) [best, least] = [n, sum / known];
  }
  return [best, least];
}

function showExamples(example, row) {
  const [best, least] = nearestTo(example);
  const unit = data.columns ? ` ${UNIT}` : "", near = train.example(best), original = state.example === undefined ? null : test.example(state.example);
  drawExample(element("decoded"), example, data, original ?? near);
  drawExample(element("nearest"), near, data);
  const overlaid = ["image", "roll"].includes(data.layout) ? "" : `, ${["row", "table"].includes(data.layout) ? "short lines" : "gray"}: ${original ? "the test example" : "the training example"},`;
  element("decoded").nextElementSibling.querySelector("b").textContent = `decoded${overlaid}`;
  element("nearest-caption").textContent =
    `nearest training example${classOf(train, best)}, RMSE ${short(Math.sqrt(least))}${unit}`;
  element("original").style.visibility = original ? "visible" : "hidden";
  if (original) {
    drawExample(element("original"), original, data);
    element("original-caption").textContent =
      `test example ${state.example + 1}${classOf(test, state.example)}, decoded with RMSE ${short(test.errors[state.example])}${unit}`;
  } else {
    element("original-caption").textContent = "move onto a point for its test example";
  }
  if (data.layout === "row") {
    const name = (d) => `column ${d + 1}`, text = (values, d) => values ? short(values[d]) : "";
    showRow(D, name, text, [example, near, original]);
  } else if (data.layout === "table") {
    const rows = [row, train.row(best), original && test.row(state.example)];
    showRow(data.columns.length, (d) => data.columns[d].name, (values, d) => values ? cellText(data.columns[d], values[d]) : "", rows);
  }
}

function showRow(count, name, text, examples) {
  const rows = [["column", "decoded", "training", "test"]];
  for (let d = 0; d < count; d++) rows.push([name(d), ...examples.map((each) => text(each, d))]);
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

function showSpectra({decoder, encoder, heats}) {
  const extremes = (values) => `${short(values[0])}, ${short(values[smaller - 1])}`;
  const lines = [
    ["local intrinsic dimension of the decoder", `${intrinsicDimension(decoder)} of ${smaller}`],
    ["largest, smallest singular value, decoder", extremes(decoder)],
  ];
  if (encoder.length) lines.push(["largest, smallest singular value, encoder", extremes(encoder)]);
  for (const [kind, name] of Object.entries(HEATS)) lines.push([name, short(heats[kind])]);
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

