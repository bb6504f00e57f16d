"use strict";
// A thread of its own for what takes longer than a frame: Jacobians, heat maps, geodesics.
// It receives {setup}, then requests {kind, id, request}; the newest of each kind replaces the one before, and one
// without a request ends it. It answers {kind, id, result}, or {kind, id, error}.

const SLICE = 20; // milliseconds between two looks at what has come in
const HEAT_LEVELS = [8, 16, 32, 64]; // cells along a side, from coarse to fine
const jobs = new Map(); // by kind: the id, and an iterator of results, undefined where it only pauses
let run, values, isWorking = false;

function setUp({programs, constants, served, page, units, features, train}) {
  run = served ? servedFunctions(served, page) : embeddedFunctions(programs, constants, units, features);
  values = heatValues(units, features, train);
}

// The functions that heat maps show, from a code and the condition to a number.
function heatValues(units, features, {codes, logVariances, count}) {
  const density = mixture(codes, logVariances, count, units), made = {};
  if (run.spectrum && units <= features) {
    made.volume = async (code, condition) => volumeOf((await run.spectrum(code, ...condition))[0]);
  }
  made.density = async (code) => density(code);
  if (run.encode) {
    made.error = async (code, condition) => {
      const [example] = await run.decode(code, ...condition), [found] = await run.encode(example, ...condition);
      return distance(example, (await run.decode(found, ...condition))[0]) / Math.sqrt(features);
    };
  }
  return made;
}

// ½ log det JᵀJ; -Infinity where the decoder does not follow all directions of the code
function volumeOf(singular) {
  if (singular[singular.length - 1] <= 1e-6 * singular[0]) return -Infinity;
  return singular.reduce((sum, value) => sum + Math.log(value), 0);
}

const JOBS = { // the first come first
  // the spectra of the Jacobians, the metric, and the values of all heat maps at a code
  async* pointer({code, condition}) {
    const [decoder, metric] = await run.spectrum(code, ...condition);
    let encoder = [];
    if (run.encoderSpectrum) {
      const [example] = await run.decode(code, ...condition);
      [encoder] = await run.encoderSpectrum(example, ...condition);
    }
    const heats = {};
    for (const [kind, value] of Object.entries(values)) {
      heats[kind] = kind === "volume" ? volumeOf(decoder) : await value(code, condition);
    }
    yield {code, decoder, encoder, metric, heats};
  },

  // the straight path, and the geodesic while it is found; null if it cannot be computed
  async* path({ends, points, condition}) {
    const K = ends[0].length, decode = async (code) => (await run.decode(code, ...condition))[0];
    const decoded = async (codes) => {
      const examples = [];
      for (const code of codes) examples.push(await decode(code));
      return {codes, examples};
    };
    const straight = await decoded(straightPath(...ends, points));
    if (!run.linearize || K > straight.examples[0].length) {
      yield {straight, geodesic: null, isDone: true};
      return;
    }
    yield {straight, geodesic: straight, isDone: false};
    const search = geodesic(...ends, points, (code) => run.linearize(code, ...condition), decode);
    let shown = null, step = await search.next();
    for (; !step.done; step = await search.next()) {
      yield step.value === shown ? undefined : {straight, geodesic: await decoded(step.value), isDone: false};
      shown = step.value;
    }
    yield {straight, geodesic: await decoded(step.value), isDone: true};
  },

  // the values of a heat map in the parallelogram that begins at `corner`, row by row, from coarse to fine
  async* heat({kind, corner, across, down, condition}) {
    for (const side of HEAT_LEVELS) {
      const found = new Float64Array(side * side);
      for (let i = 0; i < found.length; i++) {
        const u = ((i % side) + 0.5) / side, v = (Math.floor(i / side) + 0.5) / side;
        found[i] = await values[kind](corner.map((each, k) => each + u * across[k] + v * down[k]), condition);
        yield undefined;
      }
      yield {values: found, side};
    }
  },
};

onmessage = ({data: {setup, kind, id, request}}) => {
  if (setup) setUp(setup);
  else if (request) jobs.set(kind, {id, results: JOBS[kind](request)});
  else jobs.delete(kind);
  if (!isWorking) work();
};

// Works in slices, so that a newer request is seen.
async function work() {
  isWorking = true;
  while (jobs.size) {
    for (const end = performance.now() + SLICE; jobs.size && performance.now() < end;) {
      await advance(Object.keys(JOBS).find((kind) => jobs.has(kind)));
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  isWorking = false;
}

async function advance(kind) {
  const job = jobs.get(kind), {id, results} = job;
  const end = () => { if (jobs.get(kind) === job) jobs.delete(kind); }; // a newer one may have come
  try {
    const {value: result, done} = await results.next();
    if (done) end();
    if (result) postMessage({kind, id, result});
  } catch (error) {
    end();
    postMessage({kind, id, error: error.message});
  }
}
