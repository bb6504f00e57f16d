"use strict";
// Builds the page: its controls, the legend, and what follows when they change.

// Draws all again, at another size or in other colors.
function redraw() {
  drawLayer();
  if (state.path) drawPaths();
  if (data.dictionary) drawUnits();
  showSoon();
}

function refresh() {
  startHeat();
  showSliders();
  redraw();
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
  element("row").hidden = !["row", "table"].includes(data.layout);
  element("row-help").hidden = data.layout !== "table";
  element("spectrum-figure").hidden = !has("linearize");
  element("density-help").textContent = "Density of codes: " + (data.isVariational
    ? "the mean of the posteriors of the training examples in this page, the aggregate posterior, in nats."
    : "a Gaussian kernel density of the codes of the training examples in this page (Scott's rule), in nats.");
  for (const [kind, name] of Object.entries(HEATS)) element("heat").append(new Option(name.split(",")[0], kind));
  element("condition").replaceChildren(...data.conditions.map((name, k) => new Option(name, k)));
  element("condition-label").hidden = !data.conditions.length;
  element("condition").addEventListener("change", () => {
    state.condition = Number(element("condition").value);
    if (state.ends.length === 2) findPath();
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
  buildUnits();
  chooseSystem("components");
  new ResizeObserver(redraw).observe(plane);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

// for the browser's console
window.explorer = {data, state, decode, moveTo, addEnd, show};
begin();
