"use strict";
// The straight path and the geodesic between two chosen codes, decoded as strips.

function addEnd(code) {
  if (state.ends.length === 2) removePath();
  state.ends.push(code);
  element("path-help").textContent = state.ends.length === 1 ? "Now choose the other end of the path." : "";
  if (state.ends.length === 2) findPath();
  drawPlane();
}

function findPath() {
  ask("path", {ends: state.ends, points: POINTS}, (found) => {
    state.path = found;
    element("strips").hidden = false;
    drawPlane();
    drawPaths();
  });
}

function removePath() {
  Object.assign(state, {ends: [], path: null});
  cancel("path");
  element("strips").hidden = true;
  drawPlane();
}

function drawPaths() {
  for (const kind of ["straight", "geodesic"]) {
    const found = state.path[kind];
    element(kind).parentElement.hidden = !found;
    if (!found) continue;
    const title = kind === "straight" ? "Straight path" : state.path.isDone ? "Geodesic" : "Geodesic, in progress";
    element(`${kind}-title`).textContent = `${title}, from A to B: length ${short(lengthOf(found.examples))} (${UNIT})`;
    drawStrip(element(kind), found.examples);
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

