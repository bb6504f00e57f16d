"use strict";
// The list of a dictionary's units, with the test examples that activate each of them most.

function unitRow({unit, rate, examples, codes, neighbors, cosines}) {
  const row = document.createElement("div"), text = document.createElement("div"), shown = document.createElement("div");
  const name = document.createElement("b"), near = document.createElement("span");
  name.textContent = `unit ${unit + 1}`;
  near.className = "quiet";
  near.textContent = `fires on ${short(100 * rate)} %; nearest: ${neighbors.map((other, i) =>
    `${other + 1} (${cosines[i].toFixed(2).replace("-", "−")})`).join(", ")}`;
  text.append(name, " ", near);
  shown.className = "top";
  shown.append(...examples.map((n, i) => {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    button.type = "button";
    button.title = `test example ${n}${classOf(test, n)}: code ${short(codes[i])}`;
    button.setAttribute("aria-label", button.title);
    canvas.dataset.example = n;
    button.append(canvas);
    button.addEventListener("click", () => {
      state.example = n;
      moveTo(codeOf(n), {slice: true});
    });
    return button;
  }));
  row.append(text, shown);
  return row;
}

function drawUnits() {
  for (const canvas of element("unit-list").querySelectorAll("canvas")) {
    drawExample(canvas, test.example(Number(canvas.dataset.example)), data);
  }
}

function buildUnits() {
  const listed = data.dictionary;
  element("units").hidden = !listed;
  if (!listed) return;
  const some = listed.rows.length < listed.live ? `, of which the ${listed.rows.length} most active and rarest are listed` : "";
  element("units-help").textContent = `${listed.live} units fire on the test examples in this page${some}; `
    + `${listed.dead} never fire. Beside each unit are the test examples with its largest codes, and the units whose `
    + "directions in the decoder have the largest cosine with its own. A click on an example moves the pointer to it.";
  const fill = () => {
    const rows = listed.rows.map(unitRow);
    element("unit-list").replaceChildren(...element("unit-order").value === "rare" ? rows.reverse() : rows);
    drawUnits();
  };
  element("unit-order").addEventListener("change", fill);
  fill();
}
