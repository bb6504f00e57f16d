"use strict";
// The run's functions, computed by this thread or by the page's server: each returns promises of its outputs.
// decode(code): [example]; encode(example): [code]; linearize(code): [example, rows of the Jacobian];
// spectrum(code): [singular values, and the metric if K <= D]; encoderSpectrum(example): [singular values].
// A conditional run's functions have the condition as second argument.

// Returns the named programs as functions; only the constants that they use are read.
function embeddedFunctions(programs, rows, units, features) {
  const constants = [], made = {}, smaller = Math.min(units, features), larger = Math.max(units, features);
  const spectrumOf = (f) => async (...inputs) => {
    const products = gram((await f(...inputs))[1], smaller, larger);
    return [rootsOf(eigenvalues(products, smaller)), products];
  };
  for (const [name, program] of Object.entries(programs)) {
    for (const [, , place] of program.values) if (place !== undefined) constants[place] ??= readConstant(rows[place]);
    const f = prepare(program, constants);
    made[name] = async (...inputs) => f(...inputs).map((each) => each.slice());
  }
  if (made.linearize) made.spectrum = spectrumOf(made.linearize);
  if (made.linearizeEncoder) made.encoderSpectrum = spectrumOf(made.linearizeEncoder);
  return made;
}

// Numbers travel as float32 in little-endian order, inputs and outputs one after another. The page's address holds the
// server's token.
function servedFunctions(outputs, page) {
  const ask = (name, sizes) => async (...inputs) => {
    const address = new URL(name, page), body = Float32Array.from(inputs.flatMap((each) => [...each]));
    address.search = new URL(page).search;
    const response = await fetch(address, {method: "POST", body});
    if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
    const values = new Float32Array(await response.arrayBuffer());
    let at = 0;
    return sizes.map((size) => values.subarray(at, at += size));
  };
  return Object.fromEntries(Object.entries(outputs).map(([name, sizes]) => [name, ask(name, sizes)]));
}

function distance(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum);
}
