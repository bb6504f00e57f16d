"use strict";
// Geometry of the decoder's surface: the pullback metric, its spectrum, geodesics, and the density of codes.

// Returns the eigenvalues of a symmetric matrix (n, n), in decreasing order, by cyclic Jacobi rotations.
function eigenvalues(matrix, n) {
  const a = Float64Array.from(matrix);
  let scale = 0;
  for (let i = 0; i < n; i++) scale = Math.max(scale, Math.abs(a[i * n + i]));
  for (let sweep = 0; sweep < 30; sweep++) {
    let largest = 0;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const off = a[p * n + q];
        largest = Math.max(largest, Math.abs(off));
        if (Math.abs(off) <= 1e-15 * scale) continue;
        const theta = (a[q * n + q] - a[p * n + p]) / (2 * off);
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1), s = t * c;
        for (let k = 0; k < n; k++) {
          const x = a[k * n + p], y = a[k * n + q];
          a[k * n + p] = c * x - s * y;
          a[k * n + q] = s * x + c * y;
        }
        for (let k = 0; k < n; k++) {
          const x = a[p * n + k], y = a[q * n + k];
          a[p * n + k] = c * x - s * y;
          a[q * n + k] = s * x + c * y;
        }
      }
    }
    if (largest <= 1e-14 * scale) break;
  }
  return Array.from({length: n}, (_, i) => a[i * n + i]).sort((x, y) => y - x);
}

// Returns the products of all pairs of vectors: rows (n, d) gives (n, n).
function gram(rows, n, d) {
  const product = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0, a = i * d, b = j * d; k < d; k++, a++, b++) sum += rows[a] * rows[b];
      product[i * n + j] = product[j * n + i] = sum;
    }
  }
  return product;
}

// Returns the singular values of a Jacobian whose `n` rows (the smaller side) have `d` entries.
const singularValues = (rows, n, d) => rootsOf(eigenvalues(gram(rows, n, d), n));
const rootsOf = (values) => values.map((value) => Math.sqrt(Math.max(0, value)));

// Returns the smallest number of directions that hold this fraction of the sum of squares.
function intrinsicDimension(values, fraction = 0.95) {
  const total = values.reduce((sum, value) => sum + value * value, 0);
  let sum = 0, count = 0;
  while (count < values.length && sum < fraction * total * (1 - 1e-6)) sum += values[count++] ** 2;
  return count;
}

// Replaces a symmetric positive definite banded matrix, rows of `width` entries left of and at the diagonal, by its
// Cholesky factor and solves in place; returns false if it is not positive definite.
function solveBanded(band, width, n, right) {
  const at = (i, j) => i * width + (j - i + width - 1);
  for (let i = 0; i < n; i++) {
    for (let j = Math.max(0, i - width + 1); j <= i; j++) {
      let sum = band[at(i, j)];
      for (let k = Math.max(0, i - width + 1, j - width + 1); k < j; k++) sum -= band[at(i, k)] * band[at(j, k)];
      if (i === j) {
        if (!(sum > 0)) return false;
        band[at(i, i)] = Math.sqrt(sum);
      } else {
        band[at(i, j)] = sum / band[at(j, j)];
      }
    }
  }
  for (let i = 0; i < n; i++) {
    for (let k = Math.max(0, i - width + 1); k < i; k++) right[i] -= band[at(i, k)] * right[k];
    right[i] /= band[at(i, i)];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < Math.min(n, i + width); k++) right[i] -= band[at(k, i)] * right[k];
    right[i] /= band[at(i, i)];
  }
  return true;
}

// The points of a curve: the codes, and their decoded examples and Jacobians (K, D) where they are known.
const energyOf = (examples) => {
  let sum = 0;
  for (let t = 1; t < examples.length; t++) {
    for (let d = 0; d < examples[t].length; d++) sum += (examples[t][d] - examples[t - 1][d]) ** 2;
  }
  return sum * (examples.length - 1) / 2;
};

function lengthOf(examples) {
  let length = 0;
  for (let t = 1; t < examples.length; t++) {
    let sum = 0;
    for (let d = 0; d < examples[t].length; d++) sum += (examples[t][d] - examples[t - 1][d]) ** 2;
    length += Math.sqrt(sum);
  }
  return length;
}

function straightPath(start, end, points) {
  return Array.from({length: points}, (_, t) => Float64Array.from(start, (a, k) => a + (end[k] - a) * t / (points - 1)));
}

// Minimizes the energy (T - 1)/2 Σ ‖g(z[t + 1]) - g(z[t])‖² of a curve with fixed ends by damped Gauss-Newton steps,
// whose matrix, of blocks J[t]ᵀ J[t] and -J[t]ᵀ J[t + 1], is banded. A generator: it pauses after every decoded point.
// `linearize(code)` returns [example (D), rows of the Jacobian (K, D)], `decode(code)` the example, as new arrays or as
// promises of them.
async function* geodesic(start, end, points, linearize, decode, steps = 25) {
  const K = start.length, n = (points - 2) * K, width = 2 * K;
  let codes = straightPath(start, end, points), examples = [];
  for (const code of codes) {
    examples.push(await decode(code));
    yield codes;
  }
  let energy = energyOf(examples), damping = 1e-3;
  for (let step = 0; step < steps; step++) {
    const jacobians = [];
    for (let t = 1; t < points - 1; t++) {
      jacobians.push((await linearize(codes[t]))[1]);
      yield codes;
    }
    const D = examples[0].length, product = (a, i, b, j) => {
      let sum = 0;
      for (let d = 0, x = i * D, y = j * D; d < D; d++, x++, y++) sum += a[x] * b[y];
      return sum;
    };
    const matrix = new Float64Array(n * width), gradient = new Float64Array(n);
    let trace = 0;
    for (let t = 0; t < points - 2; t++) {
      const J = jacobians[t], [before, here, after] = examples.slice(t, t + 3);
      for (let i = 0; i < K; i++) {
        const row = t * K + i;
        let sum = 0;
        for (let d = 0; d < D; d++) sum += J[i * D + d] * (before[d] + after[d] - 2 * here[d]);
        gradient[row] = sum;
        for (let j = 0; j <= i; j++) matrix[row * width + width - 1 - i + j] = 2 * product(J, i, J, j);
        trace += matrix[row * width + width - 1];
        if (t > 0) {
          for (let j = 0; j < K; j++) {
            matrix[row * width + width - 1 - i + j - K] = -product(J, i, jacobians[t - 1], j);
          }
        }
      }
      yield codes;
    }
    let improved = false;
    for (let attempt = 0; attempt < 6 && !improved; attempt++, damping *= 8) {
      const band = matrix.slice(), move = gradient.slice();
      for (let row = 0; row < n; row++) band[row * width + width - 1] += damping * trace / n;
      if (!solveBanded(band, width, n, move)) continue;
      const moved = codes.map((code, t) => t === 0 || t === points - 1 ? code
        : code.map((value, k) => value + move[(t - 1) * K + k]));
      const decoded = [];
      for (const code of moved) {
        decoded.push(await decode(code));
        yield codes;
      }
      const lower = energyOf(decoded);
      if (lower < energy) {
        improved = energy - lower > 1e-5 * energy;
        [codes, examples, energy] = [moved, decoded, lower];
        damping = Math.max(1e-9, damping / 64);
        if (!improved) return codes;
      }
    }
    if (!improved) break;
  }
  return codes;
}

// Returns a function from a code to the logarithm of (1/N) Σ N(z; means[n], variances[n]), in nats.
function mixture(means, logVariances, N, K) {
  const precisions = Float64Array.from(logVariances, (value) => Math.exp(-value));
  const constants = new Float64Array(N);
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) constants[n] -= 0.5 * (logVariances[n * K + k] + Math.log(2 * Math.PI));
  }
  const terms = new Float64Array(N);
  return (code) => {
    let largest = -Infinity;
    for (let n = 0; n < N; n++) {
      let distance = 0;
      for (let k = 0, at = n * K; k < K; k++, at++) distance += precisions[at] * (code[k] - means[at]) ** 2;
      terms[n] = constants[n] - 0.5 * distance;
      if (terms[n] > largest) largest = terms[n];
    }
    let sum = 0;
    for (let n = 0; n < N; n++) sum += Math.exp(terms[n] - largest);
    return largest + Math.log(sum / N);
  };
}
