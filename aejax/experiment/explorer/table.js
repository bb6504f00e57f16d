"use strict";
// Rows of a table: the text of a cell, and a drawing of the numbers in standard deviations and of the classes.

const DEVIATIONS = 3; // that a bar shows at most

// Returns a cell as the user's table has it; that of a missing value is empty.
function cellText({classes, decimals}, value) {
  if (Number.isNaN(value)) return "";
  if (classes) return classes[Math.max(0, Math.min(classes.length - 1, Math.round(value)))];
  const text = value.toFixed(decimals);
  return (Number(text) === 0 ? (0).toFixed(decimals) : text).replace("-", "−");
}

// Returns the probabilities of a column's classes in an example: probabilities, or of ordered ones those of each to lie
// above the first, the second, ....
function probabilities({kind, first, size}, example) {
  const values = [...example.subarray(first, first + size)];
  if (kind === "categorical") return values;
  return [1, ...values].map((above, k) => above - (values[k] ?? 0));
}

// For a column of numbers a bar from the mean; for one of classes a block for each class, the first at the bottom, as
// strong as its probability.
function drawTable(canvas, example, {columns}, behind) {
  const {context, width, height} = fitted(canvas), isLarge = width >= 300;
  const numbers = columns.filter(({classes}) => !classes), others = columns.filter(({classes}) => classes);
  const left = isLarge ? 24 : 0, top = isLarge ? 16 : 0, gap = numbers.length && others.length ? 6 : 0;
  const slot = (width - left - gap) / columns.length, high = height - top, middle = top + high / 2;
  const edge = left + numbers.length * slot, begin = edge + gap;
  context.fillStyle = css("--panel");
  context.fillRect(left, top, edge - left, high);
  context.fillRect(begin, top, others.length * slot, high);
  const mark = (x, y) => {
    context.fillStyle = css("--ink");
    context.fillRect(x, y - 1, slot, 2);
  };
  const level = (value) => middle - (high / 2 - 1) * Math.max(-1, Math.min(1, value / DEVIATIONS));
  numbers.forEach(({first}, i) => {
    const x = left + i * slot, y = level(example[first]);
    context.fillStyle = css("--ours");
    if (!Number.isNaN(y)) context.fillRect(x + 0.15 * slot, Math.min(y, middle), 0.7 * slot, Math.max(1, Math.abs(y - middle)));
    if (behind && !Number.isNaN(behind[first])) mark(x, level(behind[first]));
  });
  others.forEach((column, i) => {
    const x = begin + i * slot, of = probabilities(column, example), block = high / of.length;
    context.fillStyle = css("--ours");
    of.forEach((probability, k) => {
      context.globalAlpha = Math.max(0, probability || 0); // of a missing value nothing is drawn
      context.fillRect(x + 0.1 * slot, height - (k + 1) * block, 0.8 * slot, block);
    });
    context.globalAlpha = 1;
    const other = behind ? probabilities(column, behind) : [NaN];
    if (!Number.isNaN(other[0])) mark(x, height - (other.indexOf(Math.max(...other)) + 0.5) * block);
  });
  if (isLarge) labelTable(context, {numbers, others, left, top, middle, width, height});
}

function labelTable(context, {numbers, others, left, top, middle, width, height}) {
  context.fillStyle = css("--quiet");
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "right";
  if (others.length) context.fillText("classes, shade: probability", width, 11);
  if (!numbers.length) return;
  for (const [text, y] of [[`+${DEVIATIONS}`, top + 9], ["0", middle + 4], [`−${DEVIATIONS}`, height - 1]]) {
    context.fillText(text, left - 4, y);
  }
  context.textAlign = "left";
  context.fillText("numbers, standard deviations", 0, 11);
}
