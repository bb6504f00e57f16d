"use strict";
// Draws examples by the layout of the data, and plays piano rolls.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Sets a canvas to its size on the page in device pixels and returns its context, in units of CSS pixels.
function fitted(canvas) {
  const ratio = window.devicePixelRatio || 1, {clientWidth: width, clientHeight: height} = canvas;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return {context, width, height};
}

const scratch = document.createElement("canvas");

function drawImage(canvas, example, {shape, low, high}) {
  const {context, width, height} = fitted(canvas), [rows, columns] = shape, channels = shape[2] || 1;
  [scratch.width, scratch.height] = [columns, rows];
  const small = scratch.getContext("2d"), image = small.createImageData(columns, rows), scale = 255 / (high - low || 1);
  for (let i = 0; i < rows * columns; i++) {
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = (example[channels === 3 ? 3 * i + c : channels * i] - low) * scale; // clamped
    }
    image.data[4 * i + 3] = 255;
  }
  small.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  const side = Math.min(width / columns, height / rows);
  context.drawImage(scratch, (width - side * columns) / 2, (height - side * rows) / 2, side * columns, side * rows);
}

// time to the right, the lowest key at the bottom
function drawRoll(canvas, example, {shape, low, high, keys: [lowest, highest]}) {
  const {context, width, height} = fitted(canvas), [times, keys] = shape;
  const ink = css("--ink");
  context.fillStyle = css("--panel");
  context.fillRect(0, 0, width, height);
  context.fillStyle = ink;
  const [w, h] = [width / times, height / (highest - lowest + 1)];
  for (let t = 0; t < times; t++) {
    for (let key = lowest; key <= highest; key++) {
      const value = (example[t * keys + key] - low) / (high - low || 1);
      if (value < 0.03) continue;
      context.globalAlpha = Math.min(1, value);
      context.fillRect(t * w, height - (key - lowest + 1) * h, Math.max(1, w - 0.5), Math.max(1, h));
    }
  }
  context.globalAlpha = 1;
}

// a line through the values of every channel, or one dot per value where the order of features has no meaning
function drawCurve(canvas, example, {shape, low, high, layout}, behind) {
  const {context, width, height} = fitted(canvas), channels = shape.length > 1 ? shape[shape.length - 1] : 1;
  const length = example.length / channels, margin = 0.08 * (high - low || 1);
  const small = width < 120, left = small ? 2 : 40, bottom = height - (small ? 2 : 18);
  const x = (t) => left + (width - left - 4) * (length > 1 ? t / (length - 1) : 0.5);
  const y = (value) => bottom - 2 - (bottom - 6) * (value - low + margin) / (high - low + 2 * margin || 1);
  context.strokeStyle = context.fillStyle = css("--quiet");
  context.font = "11px system-ui, sans-serif";
  if (!small) {
    context.globalAlpha = 0.4;
    for (const value of [low, high]) line(context, [[left, y(value)], [width - 4, y(value)]]);
    context.globalAlpha = 1;
    context.textAlign = "right";
    for (const value of [low, high]) context.fillText(short(value), left - 4, y(value) + 4);
    context.textAlign = "left";
    context.fillText("1", left, height - 4);
    context.textAlign = "right";
    context.fillText(String(length), width - 4, height - 4);
  }
  const draw = (values, color, wide) => {
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = wide;
    for (let c = 0; c < channels; c++) {
      const points = Array.from({length}, (_, t) => [x(t), y(values[t * channels + c])]);
      if (layout === "series") line(context, points);
      else for (const [px, py] of points) context.fillRect(px - wide, py - wide, 2 * wide, 2 * wide);
    }
  };
  if (behind) draw(behind, css("--quiet"), 1.5);
  draw(example, css("--ours"), small ? 1 : 1.8);
}

// a bar for every column of a table, from the smallest to the largest value of the training examples
function drawRow(canvas, example, {ranges: [low, high]}, behind) {
  const {context, width, height} = fitted(canvas), slot = width / example.length;
  context.fillStyle = css("--panel");
  context.fillRect(0, 0, width, height);
  const top = (value, d) => height * (0.96 - 0.92 * Math.max(0, Math.min(1, (value - low[d]) / (high[d] - low[d] || 1))));
  example.forEach((value, d) => {
    context.fillStyle = css("--ours");
    context.fillRect((d + 0.2) * slot, top(value, d), 0.6 * slot, height - top(value, d));
    if (!behind) return;
    context.fillStyle = css("--ink");
    context.fillRect((d + 0.1) * slot, top(behind[d], d) - 1, 0.8 * slot, 2);
  });
}

function line(context, points) {
  context.beginPath();
  points.forEach(([x, y], i) => i ? context.lineTo(x, y) : context.moveTo(x, y));
  context.stroke();
}

// Returns a number with up to four significant digits.
function short(value) {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? "−∞" : "–";
  const size = Math.abs(value);
  const text = size >= 1e6 || (size < 1e-3 && size > 0) ? value.toExponential(2)
    : size >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  return text.replace("-", "−");
}

// Draws an example, over another one where the layout allows it.
function drawExample(canvas, example, data, behind) {
  if (data.layout === "image") drawImage(canvas, example, data);
  else if (data.layout === "roll") drawRoll(canvas, example, data);
  else if (data.layout === "row") drawRow(canvas, example, data, behind);
  else if (data.layout === "table") drawTable(canvas, example, data, behind);
  else drawCurve(canvas, example, data, behind);
}

// Plays a roll: a soft tone for every key that begins to sound, half a second per time step.
class Player {
  play(example, {shape, lowestNote, low, high}, onEnd) {
    this.stop();
    const audio = this.audio = new AudioContext(), [times, keys] = shape, step = 0.3, middle = (low + high) / 2;
    const start = audio.currentTime + 0.05, volume = audio.createGain();
    volume.gain.value = 0.15;
    volume.connect(audio.destination);
    for (let key = 0; key < keys; key++) {
      for (let t = 0; t < times; t++) {
        const on = (at) => at >= 0 && at < times && example[at * keys + key] > middle;
        if (!on(t) || on(t - 1)) continue;
        let end = t + 1;
        while (on(end)) end++;
        const tone = audio.createOscillator(), envelope = audio.createGain();
        tone.type = "triangle";
        tone.frequency.value = 440 * 2 ** ((lowestNote + key - 69) / 12);
        envelope.gain.setValueAtTime(0, start + t * step);
        envelope.gain.linearRampToValueAtTime(1, start + t * step + 0.02);
        envelope.gain.setTargetAtTime(0, start + end * step - 0.06, 0.03);
        tone.connect(envelope).connect(volume);
        tone.start(start + t * step);
        tone.stop(start + end * step + 0.2);
      }
    }
    this.timer = setTimeout(() => { this.stop(); onEnd(); }, 1000 * (times * step + 0.4));
  }

  stop() {
    clearTimeout(this.timer);
    if (this.audio) this.audio.close();
    this.audio = null;
  }
}
