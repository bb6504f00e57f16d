"use strict";
// What the page shows: the run's data, the state of the page, and the decoder, which this thread computes at once.

const POINTS = 13; // of a path
const element = (id) => document.getElementById(id);

const data = JSON.parse(element("content").textContent);
const K = data.units.mean.length, D = sizeOf(data.shape), smaller = Math.min(K, D);
const run = data.served ? servedFunctions(data.served, document.baseURI)
  : embeddedFunctions({decode: data.programs.decode}, data.constants, K, D);
const has = (name) => name in (data.served ?? data.programs);
const UNIT = data.columns ? "standard deviations" : "unit of data"; // of distances between examples
const state = {
  condition: 0,
  code: Float64Array.from(data.units.mean),
  hidden: new Set(), // classes
  example: undefined, // the test example at the pointer
  ends: [],
  path: null, // as the worker's
  atPointer: null, // as the worker's, of the last code for which it is known
};
const test = readExamples(data.test), train = readExamples(data.train);
test.errors = readConstant(data.test.errors);

const HEATS = {
  ...has("linearize") && K <= D ? {volume: "log-volume of the decoder, nats"} : {},
  density: "log density of codes, nats",
  ...has("encode") ? {error: `reconstruction error, ${UNIT}`} : {},
};

function readExamples({count, examples, rows, codes, classes}) {
  const values = readConstant(examples), isBytes = examples.dtype === "uint8";
  const scale = (data.high - data.low) / 255;
  const scaled = isBytes ? Float32Array.from(values, (byte) => data.low + scale * byte) : values;
  const cells = rows && readConstant(rows), width = data.columns?.length;
  return {
    count,
    codes: readConstant(codes),
    classes,
    example: (i) => scaled.subarray(i * D, (i + 1) * D),
    row: (i) => cells?.subarray(i * width, (i + 1) * width), // of a table, in the user's units
  };
}

const condition = () => data.conditions.length ? [[state.condition]] : [];
const decodeRow = (code) => run.decode(code, ...condition()); // the example and, of a table, its row
const decode = async (code) => (await decodeRow(code))[0];
const codeOf = (n) => Float64Array.from(test.codes.subarray(n * K, (n + 1) * K));
const classOf = (split, n) => split.classes.length ? `, class ${data.classes[split.classes[n]]}` : "";
