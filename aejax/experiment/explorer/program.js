"use strict";
// Evaluates a program that aejax/experiment/browser_program.py wrote: a list of JAX's equations over flat typed arrays.
// A program is prepared once (buffers, index tables, packed weights) and then called many times.

const sizeOf = (shape) => shape.reduce((product, side) => product * side, 1);

function stridesOf(shape) {
  const strides = new Array(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

function newArray(dtype, size) {
  if (dtype === "bool") return new Uint8Array(size);
  return dtype.startsWith("int") || dtype.startsWith("uint") ? new Int32Array(size) : new Float32Array(size);
}

// Returns, for every position of an array of this shape in C order, offset + Σ index[axis] * strides[axis].
function offsets(shape, strides, offset = 0) {
  const table = new Int32Array(sizeOf(shape));
  const index = new Array(shape.length).fill(0);
  let at = offset;
  for (let place = 0; place < table.length; place++) {
    table[place] = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return table;
}

const isIdentity = (table, size) => table.length === size && table.every((from, to) => from === to);

function base64Bytes(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

// Returns the array of a constant: {dtype, shape, data: base64 of little-endian values} or {dtype, shape, fill: number}.
function readConstant({dtype, shape, data, fill}) {
  if (data === undefined) return newArray(dtype, sizeOf(shape)).fill(fill);
  const bytes = base64Bytes(data);
  if (dtype === "bool" || dtype === "uint8") return bytes;
  return dtype === "float32" ? new Float32Array(bytes.buffer) : new Int32Array(bytes.buffer);
}

let sums = [new Float64Array(0), new Float64Array(0)];

// c (M, N) = a (M, K) times b (K, N), all in C order. Two rows and four terms at a time need the fewest conversions
// between float32 and float64.
function multiply(a, b, c, M, K, N) {
  if (sums[0].length < N) sums = [new Float64Array(N), new Float64Array(N)];
  const [first, second] = sums;
  for (let m = 0; m < M; m += 2) {
    const row = m * K, other = m + 1 < M ? row + K : row;
    if (N < 4) {
      for (let n = 0; n < N; n++) {
        let sum = 0, next = 0;
        for (let k = 0, at = n; k < K; k++, at += N) {
          sum += a[row + k] * b[at];
          next += a[other + k] * b[at];
        }
        c[m * N + n] = sum;
        if (m + 1 < M) c[(m + 1) * N + n] = next;
      }
      continue;
    }
    first.fill(0, 0, N);
    second.fill(0, 0, N);
    let k = 0;
    for (; k + 3 < K; k += 4) {
      const p = row + k, q = other + k, i = k * N, j = i + N, l = j + N, o = l + N;
      const p0 = a[p], p1 = a[p + 1], p2 = a[p + 2], p3 = a[p + 3];
      const q0 = a[q], q1 = a[q + 1], q2 = a[q + 2], q3 = a[q + 3];
      const isZero = p0 === 0 && p1 === 0 && p2 === 0 && p3 === 0; // units that a ReLU has set to 0, padding
      if (isZero && q0 === 0 && q1 === 0 && q2 === 0 && q3 === 0) continue;
      if (p === q) {
        for (let n = 0; n < N; n++) first[n] += p0 * b[i + n] + p1 * b[j + n] + p2 * b[l + n] + p3 * b[o + n];
        continue;
      }
      for (let n = 0; n < N; n++) {
        const b0 = b[i + n], b1 = b[j + n], b2 = b[l + n], b3 = b[o + n];
        first[n] += p0 * b0 + p1 * b1 + p2 * b2 + p3 * b3;
        second[n] += q0 * b0 + q1 * b1 + q2 * b2 + q3 * b3;
      }
    }
    for (; k < K; k++) {
      for (let n = 0, at = k * N; n < N; n++, at++) {
        first[n] += a[row + k] * b[at];
        second[n] += a[other + k] * b[at];
      }
    }
    for (let n = 0, at = m * N; n < N; n++, at++) c[at] = first[n];
    if (m + 1 < M) for (let n = 0, at = (m + 1) * N; n < N; n++, at++) c[at] = second[n];
  }
}

// Returns a function that gives an operand in the order of a table; constants are reordered once.
function inOrder(operand, table) {
  if (isIdentity(table, operand.array.length)) return () => operand.array;
  const packed = new operand.array.constructor(table.length);
  const pack = () => {
    const array = operand.array;
    for (let i = 0; i < table.length; i++) packed[i] = array[table[i]];
    return packed;
  };
  if (!operand.constant) return pack;
  pack();
  return () => packed;
}

function dotGeneral([lhs, rhs], [out], {contract, batch}) {
  const free = (operand, side) => [...operand.shape.keys()].filter(
    (axis) => !contract[side].includes(axis) && !batch[side].includes(axis));
  const order = (operand, axes) => {
    const strides = stridesOf(operand.shape);
    return offsets(axes.map((axis) => operand.shape[axis]), axes.map((axis) => strides[axis]));
  };
  const count = (operand, axes) => sizeOf(axes.map((axis) => operand.shape[axis]));
  const rows = free(lhs, 0), columns = free(rhs, 1);
  const [B, M, N, K] = [count(lhs, batch[0]), count(lhs, rows), count(rhs, columns), count(lhs, contract[0])];
  const left = inOrder(lhs, order(lhs, [...batch[0], ...rows, ...contract[0]]));
  const right = inOrder(rhs, order(rhs, [...batch[1], ...contract[1], ...columns]));
  if (B === 1) return () => multiply(left(), right(), out.array, M, K, N);
  return () => {
    const a = left(), b = right();
    for (let i = 0; i < B; i++) {
      multiply(a.subarray(i * M * K), b.subarray(i * K * N), out.array.subarray(i * M * N), M, K, N);
    }
  };
}

// Every group of channels is a matrix product of the taps of all output positions with the kernel.
function convolution([lhs, rhs], [out], {strides, padding, lhsDilation, rhsDilation, specs, groups}) {
  const [lhsSpec, rhsSpec, outSpec] = specs, axes = strides.length;
  const lhsStrides = stridesOf(lhs.shape), rhsStrides = stridesOf(rhs.shape), outStrides = stridesOf(out.shape);
  const images = lhs.shape[lhsSpec[0]], channels = rhs.shape[rhsSpec[1]], features = rhs.shape[rhsSpec[0]] / groups;
  const window = rhsSpec.slice(2).map((axis) => rhs.shape[axis]);
  const sides = outSpec.slice(2).map((axis) => out.shape[axis]);
  const places = sizeOf(sides), taps = sizeOf(window), K = taps * channels, M = images * places;
  const sources = new Int32Array(M * K).fill(-1); // of group 0; another group is a shift along the channels
  const place = new Array(axes).fill(0), tap = new Array(axes).fill(0);
  const step = (index, shape) => {
    for (let axis = axes - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) return;
      index[axis] = 0;
    }
  };
  for (let image = 0, row = 0; image < images; image++) {
    for (let p = 0; p < places; p++, row++) {
      for (let t = 0; t < taps; t++) {
        let at = image * lhsStrides[lhsSpec[0]], inside = true;
        for (let axis = 0; axis < axes; axis++) {
          const dilated = place[axis] * strides[axis] + tap[axis] * rhsDilation[axis] - padding[axis][0];
          const source = dilated / lhsDilation[axis];
          if (!Number.isInteger(source) || source < 0 || source >= lhs.shape[lhsSpec[2 + axis]]) inside = false;
          at += source * lhsStrides[lhsSpec[2 + axis]];
        }
        if (inside) {
          for (let c = 0; c < channels; c++) sources[row * K + t * channels + c] = at + c * lhsStrides[lhsSpec[1]];
        }
        step(tap, window);
      }
      step(place, sides);
    }
  }
  const kernels = [...Array(groups).keys()].map((group) => inOrder(rhs, offsets(
    [...window, channels, features],
    [...rhsSpec.slice(2).map((axis) => rhsStrides[axis]), rhsStrides[rhsSpec[1]], rhsStrides[rhsSpec[0]]],
    group * features * rhsStrides[rhsSpec[0]])));
  const targets = offsets([images, ...sides, features], [outSpec[0], ...outSpec.slice(2), outSpec[1]].map(
    (axis) => outStrides[axis]));
  const columns = new Float32Array(M * K), product = new Float32Array(M * features);
  return () => {
    for (let group = 0; group < groups; group++) {
      const shift = group * channels * lhsStrides[lhsSpec[1]], base = group * features * outStrides[outSpec[1]];
      const array = lhs.array;
      for (let i = 0; i < sources.length; i++) columns[i] = sources[i] < 0 ? 0 : array[sources[i] + shift];
      multiply(columns, kernels[group](), product, M, K, features);
      for (let i = 0; i < targets.length; i++) out.array[targets[i] + base] = product[i];
    }
  };
}

// Abramowitz and Stegun 7.1.26 is too coarse: a series near 0, a continued fraction beyond.
function erf(x) {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 2.5) {
    let term = z, sum = z;
    for (let n = 1; n < 60; n++) {
      term *= -z * z / n;
      sum += term / (2 * n + 1);
    }
    return Math.sign(x) * 2 / Math.sqrt(Math.PI) * sum;
  }
  let fraction = z;
  for (let n = 40; n > 0; n--) fraction = z + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * fraction));
}

// to the nearest integer; of two, to the even one or away from 0
const awayRound = (x) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);
const evenRound = (x) => {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
};

const UNARY = {
  abs: Math.abs, cbrt: Math.cbrt, ceil: Math.ceil, cos: Math.cos, erf, erfc: (x) => 1 - erf(x), exp: Math.exp,
  exp2: (x) => 2 ** x, expm1: Math.expm1, floor: Math.floor, is_finite: (x) => Number.isFinite(x) ? 1 : 0,
  log: Math.log, log1p: Math.log1p, logistic: (x) => 1 / (1 + Math.exp(-x)), neg: (x) => -x,
  one_minus_square: (x) => (1 - x) * (1 + x),
  rsqrt: (x) => 1 / Math.sqrt(x), sign: Math.sign, sin: Math.sin, sqrt: Math.sqrt, square: (x) => x * x,
  tan: Math.tan, tanh: Math.tanh,
};
const BINARY = {
  add: (x, y) => x + y, add_any: (x, y) => x + y, atan2: Math.atan2, div: (x, y) => x / y,
  eq: (x, y) => x === y ? 1 : 0, ge: (x, y) => x >= y ? 1 : 0, gt: (x, y) => x > y ? 1 : 0,
  le: (x, y) => x <= y ? 1 : 0, lt: (x, y) => x < y ? 1 : 0, max: Math.max, min: Math.min, mul: (x, y) => x * y,
  ne: (x, y) => x !== y ? 1 : 0, pow: Math.pow, rem: (x, y) => x % y, sub: (x, y) => x - y,
  and: (x, y) => x & y, or: (x, y) => x | y, xor: (x, y) => x ^ y,
};
const POWERS = {2: (x) => x * x, 3: (x) => x * x * x, [-1]: (x) => 1 / x};
const REDUCTIONS = {
  reduce_sum: [0, BINARY.add], reduce_prod: [1, BINARY.mul], reduce_max: [-Infinity, Math.max],
  reduce_min: [Infinity, Math.min], reduce_and: [1, BINARY.and], reduce_or: [0, BINARY.or],
};

const unary = (f) => ([x], [out]) => () => {
  const from = x.array, to = out.array;
  for (let i = 0; i < to.length; i++) to[i] = f(from[i]);
};

// Returns a function that gives an operand of an elementwise operation at the shape of its result.
function spread(x, out) {
  if (x.array.length === out.array.length) return () => x.array;
  const strides = stridesOf(x.shape), missing = out.shape.length - x.shape.length;
  const steps = out.shape.map((_, axis) => axis < missing || x.shape[axis - missing] === 1 ? 0 : strides[axis - missing]);
  return inOrder(x, offsets(out.shape, steps));
}

const binary = (f) => ([x, y], [out]) => {
  const left = spread(x, out), right = spread(y, out);
  return () => {
    const a = left(), b = right(), to = out.array;
    for (let i = 0; i < to.length; i++) to[i] = f(a[i], b[i]);
  };
};

// out[i] = x[table[i]], or `fill` where the table is negative
const taking = (x, out, table, fill = () => 0) => () => {
  const from = x.array, to = out.array, other = fill();
  for (let i = 0; i < to.length; i++) to[i] = table[i] < 0 ? other : from[table[i]];
};

const copying = ([x], [out]) => () => out.array.set(x.array);

function reduction([initial, f]) {
  return ([x], [out], {axes}) => {
    const strides = stridesOf(x.shape), kept = [...x.shape.keys()].filter((axis) => !axes.includes(axis));
    const inner = axes.map((axis) => x.shape[axis]), count = sizeOf(inner);
    const order = [...kept, ...axes];
    const table = offsets(order.map((axis) => x.shape[axis]), order.map((axis) => strides[axis]));
    return () => {
      for (let i = 0, at = 0; i < out.array.length; i++) {
        let value = initial;
        for (let j = 0; j < count; j++, at++) value = f(value, x.array[table[at]]);
        out.array[i] = value;
      }
    };
  };
}

function pad([x, value], [out], {config}) {
  const table = new Int32Array(out.array.length).fill(-1), targets = stridesOf(out.shape), sources = stridesOf(x.shape);
  const index = new Array(x.shape.length).fill(0);
  for (let i = 0; i < x.array.length; i++) {
    let rest = i, at = 0, inside = true;
    for (let axis = 0; axis < index.length; axis++) {
      const [low, , interior] = config[axis], place = low + Math.floor(rest / sources[axis]) * (1 + interior);
      rest %= sources[axis];
      if (place < 0 || place >= out.shape[axis]) inside = false;
      at += place * targets[axis];
    }
    if (inside) table[at] = i;
  }
  return taking(x, out, table, () => value.array[0]);
}

// Copies between one large array and pieces of it along an axis: concatenate, stack, split, unstack.
function pieces(large, small, axis, side) {
  const strides = stridesOf(large.shape);
  let start = 0;
  return small.map((piece) => {
    const shape = large.shape.map((full, a) => a === axis ? side(piece) : full);
    const table = offsets(shape, strides, start * strides[axis]);
    start += side(piece);
    return [piece, table];
  });
}

const joining = (side) => (parts, [out], {axis}) => {
  const tables = pieces(out, parts, axis, side(axis));
  return () => {
    for (const [part, table] of tables) for (let i = 0; i < table.length; i++) out.array[table[i]] = part.array[i];
  };
};
const dividing = (side) => ([x], outs, {axis}) => {
  const tables = pieces(x, outs, axis, side(axis));
  return () => {
    for (const [out, table] of tables) for (let i = 0; i < table.length; i++) out.array[i] = x.array[table[i]];
  };
};

function topK([x], [values, places], {k, axis}) {
  const strides = stridesOf(x.shape), outStrides = stridesOf(values.shape);
  const others = [...x.shape.keys()].filter((a) => a !== axis), sides = others.map((a) => x.shape[a]);
  const starts = offsets(sides, others.map((a) => strides[a])), ends = offsets(sides, others.map((a) => outStrides[a]));
  const order = [...Array(x.shape[axis]).keys()];
  return () => starts.forEach((start, row) => {
    const at = (i) => x.array[start + i * strides[axis]];
    const sorted = order.slice().sort((i, j) => at(j) - at(i) || i - j);
    for (let i = 0; i < k; i++) {
      values.array[ends[row] + i * outStrides[axis]] = at(sorted[i]);
      places.array[ends[row] + i * outStrides[axis]] = sorted[i];
    }
  });
}

// Returns, for every line of an array along an axis, the place of its first entry; `stride` leads to the next ones.
function linesAlong(x, axis) {
  const strides = stridesOf(x.shape), others = [...x.shape.keys()].filter((a) => a !== axis);
  return {starts: offsets(others.map((a) => x.shape[a]), others.map((a) => strides[a])), stride: strides[axis]};
}

// the first of equal values, and the first NaN if there is one
function argmax([x], [out], {axes: [axis]}) {
  const {starts, stride} = linesAlong(x, axis), side = x.shape[axis];
  return () => starts.forEach((start, row) => {
    let best = 0;
    for (let i = 1; i < side; i++) {
      const value = x.array[start + i * stride], largest = x.array[start + best * stride];
      if (value > largest || (Number.isNaN(value) && !Number.isNaN(largest))) best = i;
    }
    out.array[row] = best;
  });
}

function cumsum([x], [out], {axis, reverse}) {
  const {starts, stride} = linesAlong(x, axis), side = x.shape[axis];
  return () => {
    for (const start of starts) {
      let sum = 0;
      for (let i = 0; i < side; i++) {
        const at = start + (reverse ? side - 1 - i : i) * stride;
        out.array[at] = sum += x.array[at];
      }
    }
  };
}

// Calls visit(place in the operand or -1, place in the windows) for every entry of the windows of gather or scatter.
function windows(operand, indices, result, {windowAxes, collapsed, map, operandBatch, indicesBatch, sizes, clip}) {
  const strides = stridesOf(operand.shape), resultStrides = stridesOf(result.shape);
  const kept = [...operand.shape.keys()].filter((axis) => !collapsed.includes(axis) && !operandBatch.includes(axis));
  const batchAxes = [...result.shape.keys()].filter((axis) => !windowAxes.includes(axis));
  const batchShape = batchAxes.map((axis) => result.shape[axis]), vector = map.length;
  const ends = offsets(batchShape, batchAxes.map((axis) => resultStrides[axis]));
  const windowShape = windowAxes.map((axis) => result.shape[axis]), windowSize = sizeOf(windowShape);
  const insideResult = offsets(windowShape, windowAxes.map((axis) => resultStrides[axis]));
  const insideOperand = offsets(windowShape, kept.map((axis) => strides[axis]));
  const spans = operand.shape.map((side, axis) => sizes ? sizes[axis] : kept.includes(axis)
    ? windowShape[kept.indexOf(axis)] : 1);
  const batchStrides = stridesOf(batchShape);
  return (visit) => {
    for (let b = 0; b < ends.length; b++) {
      let start = 0, inside = true;
      for (let i = 0; i < vector; i++) {
        const axis = map[i], last = operand.shape[axis] - spans[axis];
        let at = indices.array[b * vector + i];
        if (clip) at = Math.min(Math.max(at, 0), last);
        if (at < 0 || at > last) inside = false;
        start += at * strides[axis];
      }
      operandBatch.forEach((axis, i) => {
        const among = indicesBatch[i];
        start += (Math.floor(b / batchStrides[among]) % batchShape[among]) * strides[axis];
      });
      for (let w = 0; w < windowSize; w++) visit(inside ? start + insideOperand[w] : -1, ends[b] + insideResult[w]);
    }
  };
}

function gather([operand, indices], [out], params) {
  const walk = windows(operand, indices, out, params);
  return () => walk((from, to) => { out.array[to] = from < 0 ? params.fill : operand.array[from]; });
}

const scatter = (combine) => ([operand, indices, updates], [out], params) => {
  const walk = windows(operand, indices, updates, params);
  return () => {
    out.array.set(operand.array);
    walk((to, from) => { if (to >= 0) out.array[to] = combine(out.array[to], updates.array[from]); });
  };
};

const PRIMITIVES = {
  ...Object.fromEntries(Object.entries(UNARY).map(([name, f]) => [name, unary(f)])),
  ...Object.fromEntries(Object.entries(BINARY).map(([name, f]) => [name, binary(f)])),
  ...Object.fromEntries(Object.entries(REDUCTIONS).map(([name, pair]) => [name, reduction(pair)])),
  not: ([x], [out]) => () => out.array.forEach((_, i) => { out.array[i] = x.array[i] ? 0 : 1; }),
  round: ([x], [out], {isEven}) => unary(isEven ? evenRound : awayRound)([x], [out]),
  integer_pow: ([x], [out], {y}) => unary(POWERS[y] ?? ((value) => value ** y))([x], [out]),
  dot_general: dotGeneral,
  conv_general_dilated: convolution,
  convert_element_type: ([x], [out]) => out.dtype === "bool" ? unary((value) => +(value !== 0))([x], [out])
    : copying([x], [out]), // typed arrays truncate toward 0, as JAX does
  copy: copying, copy_p: copying, expand_dims: copying, reshape: copying, squeeze: copying, stop_gradient: copying,
  reduce_precision: copying,
  select_n: ([which, ...cases], [out]) => {
    const chosen = spread(which, out), [no, yes] = cases.map((each) => spread(each, out));
    return () => {
      const choice = chosen(), a = no(), b = yes(), to = out.array;
      for (let i = 0; i < to.length; i++) to[i] = choice[i] ? b[i] : a[i];
    };
  },
  clamp: (operands, [out]) => {
    const [low, middle, high] = operands.map((each) => spread(each, out));
    return () => {
      const a = low(), b = middle(), c = high(), to = out.array;
      for (let i = 0; i < to.length; i++) to[i] = Math.min(Math.max(b[i], a[i]), c[i]);
    };
  },
  broadcast_in_dim: ([x], [out], {axes}) => {
    const strides = stridesOf(x.shape), spread = new Array(out.shape.length).fill(0);
    axes.forEach((axis, i) => { spread[axis] = x.shape[i] === 1 ? 0 : strides[i]; });
    return taking(x, out, offsets(out.shape, spread));
  },
  transpose: ([x], [out], {permutation}) => {
    const strides = stridesOf(x.shape);
    return taking(x, out, offsets(out.shape, permutation.map((axis) => strides[axis])));
  },
  slice: ([x], [out], {starts, steps}) => {
    const strides = stridesOf(x.shape), start = starts.reduce((sum, at, axis) => sum + at * strides[axis], 0);
    return taking(x, out, offsets(out.shape, strides.map((stride, axis) => stride * steps[axis]), start));
  },
  rev: ([x], [out], {axes}) => {
    const strides = stridesOf(x.shape), start = axes.reduce((sum, axis) => sum + strides[axis] * (x.shape[axis] - 1), 0);
    return taking(x, out, offsets(x.shape, strides.map((stride, axis) => axes.includes(axis) ? -stride : stride), start));
  },
  pad,
  concatenate: joining((axis) => (piece) => piece.shape[axis]),
  stack: joining(() => () => 1),
  split: dividing((axis) => (piece) => piece.shape[axis]),
  unstack: dividing(() => () => 1),
  argmax,
  cumsum,
  top_k: topK,
  gather,
  scatter: scatter((_, update) => update),
  "scatter-add": scatter((value, update) => value + update),
};

// Returns a function from the program's inputs (arrays of numbers) to its outputs, which are overwritten by the next call.
function prepare(program, constants) {
  const values = program.values.map(([dtype, shape, constant]) => constant === undefined
    ? {dtype, shape, array: newArray(dtype, sizeOf(shape)), constant: false}
    : {dtype, shape, array: constants[constant], constant: true});
  const steps = program.equations.map(([name, inputs, outputs, params]) =>
    PRIMITIVES[name](inputs.map((i) => values[i]), outputs.map((i) => values[i]), params));
  return (...inputs) => {
    inputs.forEach((input, i) => values[program.inputs[i]].array.set(input));
    for (const step of steps) step();
    return program.outputs.map((i) => values[i].array);
  };
}
