"use strict";
// Pointer and keyboard in the plane.

function pointAt(x, y) {
  const near = places.map(([px, py, n]) => [Math.hypot(px - x, py - y), n]).sort((a, b) => a[0] - b[0])[0];
  state.example = near && near[0] < 12 ? near[1] : undefined;
  const c = coordinatesNow(), [across, up] = fromScreen(x, y);
  c[system.axes[0]] = across;
  if (system.axes[1] !== null) c[system.axes[1]] = up;
  moveTo(system.code(c));
}

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
  if (place < 0 || place === state.condition) return;
  element("condition").value = state.condition = place;
  if (state.ends.length === 2) findPath(); // of the new class
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

