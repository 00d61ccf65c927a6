// What the page knows without a document: a layer's geometry, im2col's indices, arithmetic,
// ranges, colours, npy. No DOM here: node --test runs this file as it is.

// --- geometry ---------------------------------------------------------------------------------

// The layer: C, H, W of the input, K, Fh, Fw, S, D, groups, mode, and either pad = a word of
// ONNX's auto_pad or P pixels on each side. Answers like POST /plan: shapes, sizes, or what is
// wrong and which field to change.
export function plan(l) {
  const { C, H, W, K, Fh, Fw, S, D } = l, reach = f => D * (f - 1) + 1;
  const wrong = (field, text) => ({ ...l, error: { field, text } });
  const side = (n, f) => {
    if (!l.pad || l.pad === 'pixels') return [l.P, l.P];
    const total = l.pad === 'valid' ? 0
      : Math.max(0, (Math.ceil(n / S) - 1) * S + reach(f) - n);
    const less = Math.floor(total / 2);
    return l.pad === 'same_lower' ? [total - less, less] : [less, total - less];
  };
  const [top, bottom] = side(H, Fh), [left, right] = side(W, Fw);
  const high = H + top + bottom - reach(Fh), wide = W + left + right - reach(Fw);
  const groups = l.groups || C;
  if (C % groups) return wrong('groups', `${groups} groups do not divide ${C} channels.`);
  if (K % groups) return wrong('groups', `${groups} groups do not divide ${K} filters.`);
  if (high < 0 || wide < 0) {
    const short = Math.ceil(Math.max(reach(Fh) - H, reach(Fw) - W) / 2);
    return wrong('P', `The filter covers ${reach(Fh)}×${reach(Fw)} pixels but the padded image has `
      + `only ${H + top + bottom}×${W + left + right}. Raise the padding to ${short}, or make the `
      + `filter or the dilation smaller.`);
  }
  if (l.mode === 'reflect' || l.mode === 'circular') {
    const less = l.mode === 'reflect' ? 1 : 0, most = Math.min(H, W) - less;
    if (Math.max(top, bottom) > H - less || Math.max(left, right) > W - less)
      return wrong('P', `${l.mode} padding can be ${most} at most here: it mirrors or wraps the image once.`);
  }
  const OH = Math.floor(high / S) + 1, OW = Math.floor(wide / S) + 1;
  const Cg = C / groups, cell = Fh * Fw, rows = C * cell, cols = OH * OW, R = Cg * cell;
  return {
    ...l, groups, pads: [top, left, bottom, right], OH, OW, Cg,
    rows, cols, R, // X_col is [rows x cols], W_row [K x R]
    unused: [high % S, wide % S], reachH: reach(Fh), reachW: reach(Fw), macs: K * R * cols,
    bytes: { input: 4 * C * H * W, weights: 4 * K * R, x_col: 4 * rows * cols, output: 4 * K * cols },
  };
}

// The textbook's formula with this side's numbers: n pixels, f weights, pads p + q.
export function formula(n, f, p, q, s, d, result) {
  const exact = (n + p + q - d * (f - 1) - 1) % s === 0;
  const kernel = d > 1 ? `(${d}·(${f} − 1) + 1)` : f, pad = p === q ? `2·${p}` : `${p} + ${q}`;
  const inner = `(${n} − ${kernel} + ${pad}) / ${s}`;
  return `${exact ? inner : `⌊${inner}⌋`} + 1 = ${result}`;
}

// How filters meet a picture of C channels; depth as in the API. A bank's shape is [K, Cb, Fh, Fw];
// flat ones (2-D kernels, Cb 1) are spread over the channels, as the bank likes when depth is auto.
export function meet(bank, depth, C) {
  const [K, Cb, Fh, Fw] = bank.shape;
  if (!bank.flat) return { K, Fh, Fw, groups: C / Cb };
  const each = (depth === 'auto' ? bank.depth : depth) === 'depthwise';
  return each ? { K: K * C, Fh, Fw, groups: C } : { K, Fh, Fw, groups: 1 };
}

// Edited 2-D kernels [K][Fh*Fw] as the 4-D weights that meet() promises: the API spreads one 2-D
// kernel over the channels, several travel spread out.
export function spreadKernels(kernels, cells, depth, C) {
  const K = kernels.length / cells, each = depth === 'depthwise';
  const share = c => depth !== 'luma' ? 1 : C < 3 ? 1 / C : [.299, .587, .114, 0][c];
  const out = new Float32Array(kernels.length * C);
  for (let k = 0; k < K; k++)
    for (let c = 0; c < C; c++)
      for (let i = 0; i < cells; i++)
        out[((each ? c * K + k : k * C + c)) * cells + i] = kernels[k * cells + i] * (each ? 1 : share(c));
  return out;
}

// Which index of 0..n-1 stands at i, or -1 where the padding is a number of its own.
export function source(mode, i, n) {
  if (i >= 0 && i < n) return i;
  if (mode === 'reflect') return i < 0 ? -i : 2 * (n - 1) - i;
  if (mode === 'replicate') return i < 0 ? 0 : n - 1;
  if (mode === 'circular') return i < 0 ? i + n : i - n;
  return -1;
}

// --- im2col -----------------------------------------------------------------------------------

// Row r of X_col and column col, as places: channel c, source pixel y, x (-1 in zero padding),
// and py, px in the padded picture.
export function place(l, r, col) {
  const cell = l.Fh * l.Fw, c = Math.floor(r / cell), tap = r % cell;
  const py = Math.floor(col / l.OW) * l.S + Math.floor(tap / l.Fw) * l.D;
  const px = col % l.OW * l.S + tap % l.Fw * l.D;
  return { c, py, px, y: source(l.mode, py - l.pads[0], l.H), x: source(l.mode, px - l.pads[1], l.W) };
}

// The number at X_col[r][col]; v is the input, [C][H][W].
export function xcol(l, v, r, col) {
  const cell = l.Fh * l.Fw, tap = r % cell;
  const y = source(l.mode, Math.floor(col / l.OW) * l.S + Math.floor(tap / l.Fw) * l.D - l.pads[0], l.H);
  const x = source(l.mode, col % l.OW * l.S + tap % l.Fw * l.D - l.pads[1], l.W);
  return y < 0 || x < 0 ? 0 : v[(Math.floor(r / cell) * l.H + y) * l.W + x];
}

// Every [row, column] of X_col that holds pixel y, x of channel c.
export function copies(l, c, y, x) {
  const axis = (f, o, before, n, at) => {
    const found = [];
    for (let i = 0; i < f; i++)
      for (let q = 0; q < o; q++)
        if (source(l.mode, q * l.S + i * l.D - before, n) === at) found.push([i, q]);
    return found;
  };
  const tall = axis(l.Fh, l.OH, l.pads[0], l.H, y), wide = axis(l.Fw, l.OW, l.pads[1], l.W, x);
  return tall.flatMap(([i, oy]) => wide.map(([j, ox]) => [(c * l.Fh + i) * l.Fw + j, oy * l.OW + ox]));
}

// The nearest output to a pixel of the padded picture: the window whose middle it is.
export function windowAt(l, py, px) {
  const at = (p, reach, n) => Math.max(0, Math.min(n - 1, Math.round((p - (reach - 1) / 2) / l.S)));
  return at(py, l.reachH, l.OH) * l.OW + at(px, l.reachW, l.OW);
}

// --- the daemon's arithmetic --------------------------------------------------------------------

const f64 = new Float64Array(1), u32 = new Uint32Array(f64.buffer);

// float32 a * b + c, rounded once. The product of two float32 is exact in a double; the sum is
// rounded to odd there, so that the second rounding cannot go wrong.
export function fmaf(a, b, c) {
  const p = a * b, s = p + c, t = s - p, e = (p - (s - t)) + (c - t);
  if (!e || !Number.isFinite(s)) return Math.fround(s);
  f64[0] = s;
  if (!(u32[0] & 1)) {
    if (e > 0 === s > 0) u32[0] |= 1;
    else { if (!u32[0]) u32[1]--; u32[0]--; }
  }
  return Math.fround(f64[0]);
}

const ACT = {
  none: x => x, relu: x => Math.max(0, x), relu6: x => Math.min(6, Math.max(0, x)),
  leaky_relu: x => x < 0 ? Math.fround(0.01) * x : x, sigmoid: x => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh, elu: x => x < 0 ? Math.expm1(x) : x,
  hardswish: x => x * Math.min(6, Math.max(0, x + 3)) / 6,
};
export const ACTIVATIONS = Object.keys(ACT);
export const activate = (name, x) => Math.fround(ACT[name](x));

// One output as the daemon makes it: window x and weights w, one chain of fmaf from the bias.
// size is the sum of the magnitudes: float32's rounding is a share of it.
export function dot(x, w, bias) {
  let sum = Math.fround(bias), size = Math.abs(bias);
  for (let r = 0; r < x.length; r++) {
    sum = fmaf(x[r], w[r], sum);
    size += Math.abs(x[r] * w[r]);
  }
  return { sum: sum + 0, size };
}

// '=' bit for bit, '~' within float32's rounding of n additions (another order, another exp), ''.
export function equal(ours, theirs, size, n) {
  if (Object.is(ours + 0, theirs + 0)) return '=';
  return Math.abs(ours - theirs) <= (size + Math.abs(ours)) * (n + 8) * 2 ** -23 ? '~' : '';
}

// What one filter could answer at most, for inputs from lo to hi (and 0, in the padding).
export function possible(w, bias, act, lo = 0, hi = 255) {
  let a = bias, b = bias;
  for (const x of w) { a += Math.min(x * lo, x * hi); b += Math.max(x * lo, x * hi); }
  const ends = [ACT[act](a), ACT[act](b)]; // hardswish dips between
  return [Math.min(...ends, act === 'hardswish' && a < 0 ? -0.375 : Infinity), Math.max(...ends)];
}

// --- ranges and colours -------------------------------------------------------------------------

export function stats(v, from = 0, to = v.length) {
  let lo = Infinity, hi = -Infinity, sum = 0, bad = 0;
  for (let i = from; i < to; i++) {
    const x = v[i];
    if (!(x - x === 0)) { bad++; continue; } // NaN and infinities
    if (x < lo) lo = x;
    if (x > hi) hi = x;
    sum += x;
  }
  const n = to - from - bad;
  return n ? { lo, hi, mean: sum / n, bad } : { lo: 0, hi: 0, mean: 0, bad };
}

// The first and last output, on each axis, whose window touches no padding: [y0, y1, x0, x1], or
// the whole map when there is none. A padded border must not wash out the rest.
export function inner(l) {
  const axis = (before, n, reach, o) => {
    const a = Math.ceil(before / l.S), b = Math.floor((n - reach + before) / l.S);
    return a <= b && b < o ? [a, b] : [0, o - 1];
  };
  return [...axis(l.pads[0], l.H, l.reachH, l.OH), ...axis(l.pads[1], l.W, l.reachW, l.OW)];
}

// What 99 % of a map's inner cells lie between, from a few thousand of them. v from `from` on.
export function spread(v, from, l) {
  const [y0, y1, x0, x1] = inner(l), w = x1 - x0 + 1, n = w * (y1 - y0 + 1);
  const take = Math.min(n, 4096), s = [];
  for (let i = 0; i < take; i++) {
    const q = Math.floor(i * n / take);
    const x = v[from + (y0 + Math.floor(q / w)) * l.OW + x0 + q % w];
    if (x - x === 0) s.push(x);
  }
  if (!s.length) return { lo: 0, hi: 0 };
  const sorted = Float32Array.from(s).sort();
  return { lo: sorted[Math.floor(s.length * .005)], hi: sorted[Math.ceil(s.length * .995) - 1] };
}

const symmetric = ({ lo, hi }) => {
  const m = Math.max(Math.abs(lo), Math.abs(hi));
  return lo < 0 ? [-m, m] : [0, m];
};
// The values shown as the first and the last colour.
export function range(kind, { own, all, most, can }) {
  if (kind === 'minmax') return [own.lo, own.hi];
  if (kind === 'shared') return symmetric(all);
  if (kind === 'absolute') return [0, 255];
  return kind === 'possible' ? can : symmetric(most);
}

const hex = s => s.split(' ').map(h => [0, 2, 4].map(i => parseInt(h.slice(i, i + 2), 16)));
const STOPS = {
  gray: hex('000000 ffffff'),
  viridis: hex('440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1f9f88 27ad81 3dbc74 5cc863 81d34d aadc32 d5e21a fde725'),
  rdbu: hex('053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f'),
};
// 256 colours each, as the words of a canvas: 0xAABBGGRR.
export const LUT = Object.fromEntries(Object.entries(STOPS).map(([name, s]) => [name,
  Uint32Array.from({ length: 256 }, (_, i) => {
    const p = i / 255 * (s.length - 1), a = Math.min(s.length - 2, Math.floor(p)), f = p - a;
    const [r, g, b] = [0, 1, 2].map(c => Math.round(s[a][c] + (s[a + 1][c] - s[a][c]) * f));
    return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
  })]));
export const NAN_COLOUR = 0xffff00ff; // magenta: in none of the maps
export const css = u => `rgb(${u & 255} ${u >> 8 & 255} ${u >> 16 & 255})`;
export const bright = u => .299 * (u & 255) + .587 * (u >> 8 & 255) + .114 * (u >> 16 & 255) > 140;

export function colour(x, [lo, hi], lut) {
  if (x !== x) return NAN_COLOUR;
  if (!(hi > lo)) return lut[128];
  return lut[Math.max(0, Math.min(255, Math.round((x - lo) * (255 / (hi - lo)))))];
}

// A [h][w] map from v[from] on, into w2 x h2 colours: every pixel of it, or evenly picked ones.
export function paint(out, v, from, w, h, w2, h2, rng, lut) {
  const [lo, hi] = rng, k = hi > lo ? 255 / (hi - lo) : 0, same = w === w2;
  for (let y = 0, i = 0; y < h2; y++) {
    const row = from + Math.floor((y + .5) * h / h2) * w;
    for (let x = 0; x < w2; x++, i++) {
      const u = v[row + (same ? x : Math.floor((x + .5) * w / w2))], q = k ? (u - lo) * k + .5 : 128;
      out[i] = u !== u ? NAN_COLOUR : lut[q <= 0 ? 0 : q >= 255 ? 255 : q | 0];
    }
  }
}

// The share of a map's numbers outside the range.
export function clipped(v, from, n, [lo, hi]) {
  let c = 0;
  for (let i = from; i < from + n; i++) if (v[i] < lo || v[i] > hi) c++;
  return c / n;
}

// --- numbers as files and as text -----------------------------------------------------------------

export function npyWrite(data, shape) {
  const dims = shape.length < 2 ? `${shape[0] ?? ''},` : shape.join(', ');
  let head = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dims}), }`;
  head += ' '.repeat(63 - (10 + head.length) % 64) + '\n';
  const out = new Uint8Array(10 + head.length + data.byteLength);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, head.length & 255, head.length >> 8]);
  out.set(new TextEncoder().encode(head), 10);
  out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + head.length);
  return out;
}

const KINDS = {
  f4: [4, 'getFloat32'], f8: [8, 'getFloat64'], i1: [1, 'getInt8'], u1: [1, 'getUint8'],
  i2: [2, 'getInt16'], u2: [2, 'getUint16'], i4: [4, 'getInt32'], b1: [1, 'getUint8'],
};
// An npy file's shape and its numbers as float32 in C order. Throws with a sentence.
export function npyRead(file) {
  const b = new Uint8Array(file), view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  if (b.length < 12 || String.fromCharCode(...b.subarray(0, 6)) !== '\x93NUMPY')
    throw new Error('This is not an npy file.');
  const start = b[6] > 1 ? 12 : 10, size = b[6] > 1 ? view.getUint32(8, true) : view.getUint16(8, true);
  const head = new TextDecoder('latin1').decode(b.subarray(start, start + size));
  const dims = /'shape':\s*\(([\d,\s]*)\)/.exec(head), kind = /'descr':\s*'([<>|=])(\w\d)'/.exec(head);
  if (!dims || !kind || !KINDS[kind[2]])
    throw new Error('This npy file holds no array of plain numbers.');
  if (/'fortran_order':\s*True/.test(head))
    throw new Error('This npy file is in Fortran order; save np.ascontiguousarray(w).');
  const shape = dims[1].split(',').filter(s => s.trim()).map(Number);
  const n = shape.reduce((a, x) => a * x, 1), [width, get] = KINDS[kind[2]];
  if (b.length < start + size + n * width) throw new Error('This npy file is cut short.');
  const data = Float32Array.from({ length: n },
    (_, i) => view[get](start + size + i * width, kind[1] !== '>'));
  return { shape, data };
}

// Numbers pasted as text: rows of a matrix, or JSON's nested lists. [[...], ...] or a sentence.
export function matrixRead(text) {
  const rows = text.trim().split(/\n|;|\]\s*,/).map(line =>
    line.replace(/[[\](){}]/g, ' ').trim().split(/[\s,]+/).filter(Boolean).map(Number)).filter(r => r.length);
  if (!rows.length || rows.flat().some(x => !Number.isFinite(x)))
    throw new Error('Paste rows of numbers, such as "-1 0 1" on each line.');
  if (rows.some(r => r.length !== rows[0].length) || rows.length > 64 || rows[0].length > 64)
    throw new Error('Each row needs as many numbers as the first one, and 64 at most.');
  return rows;
}

export const fmt = x => Number.isFinite(x)
  ? (Math.abs(x) >= 1e6 || (x && Math.abs(x) < 1e-3) ? x.toExponential(2) : +x.toFixed(Math.abs(x) < 100 ? 4 : 2)).toString().replace('-', '−')
  : String(x);
export const bytes = n => n < 1024 ? `${n} B` : n < 1 << 20 ? `${(n / 1024).toFixed(1)} KiB`
  : n < 2 ** 30 ? `${(n / 2 ** 20).toFixed(1)} MiB` : `${(n / 2 ** 30).toFixed(2)} GiB`;
export const count = n => String(n).replace(/\B(?=(\d{3})+$)/g, ' ');
