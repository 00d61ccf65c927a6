// The page's pure module, without a browser: node --test runs it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACTIVATIONS, FIELDS, LUT, NAN_COLOUR, activate, colour, copies, defaults, dot, equal, fmaf, formula, inner, matrixRead,
  meet, npyRead, paint, parse, place, plan, possible, program, range, readLink, source, spread, spreadKernels, stats, windowAt, writeLink, xcol,
  paramsOf, weightsOf } from '../../server/web/lib.js';

const layer = over => plan({ C: 3, H: 227, W: 227, K: 96, Fh: 11, Fw: 11, S: 4, P: 0, D: 1, pad: 'pixels', mode: 'zeros', groups: 1, act: 'none', ...over });

// The same numbers on every run.
function dice(seed) {
  let s = seed >>> 0;
  const next = () => { s = Math.imul(s ^ s >>> 15, 0x2c1b3c6d) + 0x9e3779b9 >>> 0; return (s ^ s >>> 13) >>> 0; };
  return { next, below: n => next() % n, pick: list => list[next() % list.length] };
}

test('the textbook layer has the textbook\'s numbers', () => {
  const l = layer();
  assert.deepEqual([l.OH, l.OW, l.rows, l.cols, l.R, l.macs, l.bytes.x_col], [55, 55, 363, 3025, 363, 105415200, 4392300]);
  assert.equal((l.bytes.x_col / l.bytes.input).toFixed(1), '7.1');
  assert.equal(formula(227, 11, 0, 0, 4, 1, 55), '(227 − 11 + 2·0) / 4 + 1 = 55');
});

test('a stride that does not tile is floored, and the rows it leaves are counted', () => {
  const l = layer({ H: 228, W: 230 });
  assert.deepEqual([l.OH, l.OW], [55, 55]);
  assert.deepEqual(l.unused, [1, 3]);
  assert.equal(formula(230, 11, 0, 0, 4, 1, 55), '⌊(230 − 11 + 2·0) / 4⌋ + 1 = 55');
});

test('same padding gives size over stride, the odd pixel behind or before', () => {
  const upper = layer({ H: 8, W: 8, Fh: 4, Fw: 4, S: 1, pad: 'same' }), lower = layer({ H: 8, W: 8, Fh: 4, Fw: 4, S: 1, pad: 'same_lower' });
  assert.deepEqual(upper.pads, [1, 1, 2, 2]);
  assert.deepEqual(lower.pads, [2, 2, 1, 1]);
  assert.equal(layer({ H: 9, W: 9, Fh: 3, Fw: 3, S: 2, pad: 'same' }).OH, 5);
  assert.deepEqual(layer({ pad: 'valid', P: 5 }).pads, [0, 0, 0, 0]);
});

test('an impossible layer names the field and the fix', () => {
  const small = layer({ H: 3, W: 7, Fh: 4, Fw: 4 });
  assert.equal(small.error.field, 'padding');
  assert.match(small.error.text, /covers 4×4 .* only 3×7.* Raise the padding to 1/);
  assert.equal(layer({ groups: 2 }).error.field, 'groups');
  assert.equal(layer({ C: 1, groups: 1 / 3 }).error.field, 'weights');
  assert.equal(layer({ H: 11, W: 11, P: 11, mode: 'reflect' }).error.field, 'padding');
  assert.equal(layer({ H: 11, W: 11, P: 11, mode: 'circular' }).error, undefined);
});

test('2-D kernels meet the channels as the bank likes it, or as one says', () => {
  const flat = { shape: [2, 1, 3, 3], flat: true, depth: 'depthwise' };
  assert.deepEqual(meet(flat, 'auto', 3), { K: 6, Fh: 3, Fw: 3, groups: 3 });
  assert.deepEqual(meet(flat, 'luma', 3), { K: 2, Fh: 3, Fw: 3, groups: 1 });
  assert.deepEqual(meet({ shape: [96, 3, 11, 11] }, 'auto', 3), { K: 96, Fh: 11, Fw: 11, groups: 1 });
  assert.deepEqual([...spreadKernels(Float32Array.of(1, 2), 1, 'depthwise', 3)], [1, 2, 1, 2, 1, 2]);
  assert.deepEqual([...spreadKernels(Float32Array.of(1, 2), 1, 'full', 2)], [1, 1, 2, 2]);
  assert.deepEqual([...spreadKernels(Float32Array.of(10), 1, 'luma', 3)].map(x => +x.toFixed(3)), [2.99, 5.87, 1.14]);
});

test('padding modes read the pixel that they promise', () => {
  const line = mode => [-3, -2, -1, 0, 3, 4, 5, 6].map(i => source(mode, i, 4));
  assert.deepEqual(line('zeros'), [-1, -1, -1, 0, 3, -1, -1, -1]);
  assert.deepEqual(line('reflect'), [3, 2, 1, 0, 3, 2, 1, 0]);
  assert.deepEqual(line('replicate'), [0, 0, 0, 0, 3, 3, 3, 3]);
  assert.deepEqual(line('circular'), [1, 2, 3, 0, 3, 0, 1, 2]);
});

test('the copies of a pixel in X_col are those that a search of all of X_col finds', () => {
  const d = dice(7);
  for (let n = 0; n < 60; n++) {
    const l = layer({ C: 1 + d.below(3), H: 3 + d.below(7), W: 3 + d.below(7), K: 1, Fh: 1 + d.below(4), Fw: 1 + d.below(4), S: 1 + d.below(3),
      P: d.below(3), D: 1 + d.below(2), mode: d.pick(['zeros', 'reflect', 'replicate', 'circular']) });
    if (l.error) continue;
    const want = [d.below(l.C), d.below(l.H), d.below(l.W)], found = [];
    for (let r = 0; r < l.rows; r++)
      for (let q = 0; q < l.cols; q++) {
        const p = place(l, r, q);
        if (p.c === want[0] && p.y === want[1] && p.x === want[2]) found.push(r * l.cols + q);
      }
    assert.deepEqual(copies(l, ...want).map(([r, q]) => r * l.cols + q).sort((a, b) => a - b), found);
  }
});

test('X_col times W_row is the definition of the convolution', () => {
  const d = dice(3), l = layer({ C: 4, H: 7, W: 6, K: 6, Fh: 3, Fw: 2, S: 2, P: 1, groups: 2 });
  const v = Float32Array.from({ length: 4 * 42 }, () => d.below(19) - 9), w = Float32Array.from({ length: 6 * l.R }, () => d.below(19) - 9);
  for (let k = 0; k < l.K; k++)
    for (let q = 0; q < l.cols; q++) {
      const g = Math.floor(k / 3), oy = Math.floor(q / l.OW), ox = q % l.OW;
      let sum = 0, other = 0;
      for (let r = 0; r < l.R; r++) sum += xcol(l, v, g * l.R + r, q) * w[k * l.R + r];
      for (let c = 0; c < 2; c++)
        for (let i = 0; i < 3; i++)
          for (let j = 0; j < 2; j++) {
            const y = oy * 2 + i - 1, x = ox * 2 + j - 1;
            if (y >= 0 && x >= 0 && y < 7 && x < 6) other += v[((g * 2 + c) * 7 + y) * 6 + x] * w[((k * 2 + c) * 3 + i) * 2 + j];
          }
      assert.equal(sum, other);
    }
});

test('the window at a pixel is the one whose middle it is', () => {
  const l = layer();
  for (const q of [0, 7, 54, 55, 1512, 3024]) assert.equal(windowAt(l, Math.floor(q / 55) * 4 + 5, q % 55 * 4 + 5), q);
  assert.equal(windowAt(l, -50, 500), 54);
});

// What fmaf must be, in integers: both factors and the sum as multiples of 2^-40.
test('fmaf is rounded once, also where a double is not enough', () => {
  const exact = (a, b, c) => {
    const scale = 2n ** 80n, whole = x => BigInt(Math.round(x * 2 ** 40));
    const sum = whole(a) * whole(b) + whole(c) * 2n ** 40n, sign = sum < 0n ? -1 : 1, size = sum < 0n ? -sum : sum;
    if (!size) return 0;
    const shift = BigInt(Math.max(0, size.toString(2).length - 24)), low = size & ((1n << shift) - 1n), half = shift ? 1n << (shift - 1n) : 0n;
    let kept = size >> shift;
    if (low > half || (low === half && shift && kept & 1n)) kept++;
    return sign * Number(kept << shift) / Number(scale);
  };
  const d = dice(11), some = () => Math.fround((d.below(2 ** 24) - 2 ** 23) * 2 ** (d.below(16) - 30));
  for (let n = 0; n < 20000; n++) {
    const [a, b, c] = [some(), some(), some()];
    assert.equal(fmaf(a, b, c) + 0, exact(a, b, c) + 0, `${a} ${b} ${c}`);
  }
  // 2^-24 + a crumb: the sum in a double is exactly halfway, its crumb decides
  assert.equal(fmaf(1 + 2 ** -23, 2 ** -24, 1), 1 + 2 ** -23);
  assert.equal(fmaf(1 - 2 ** -24, 2 ** -24, 1), 1);
  assert.ok(Number.isNaN(fmaf(Infinity, 0, 1)));
});

test('dot goes on from the bias, and equal tells bits from rounding from wrong', () => {
  assert.equal(dot(Float32Array.of(1, 2), Float32Array.of(3, 4), .5).sum, 11.5);
  assert.equal(equal(1, 1, 1, 3), '=');
  assert.equal(equal(NaN, NaN, 1, 3), '=');
  assert.equal(equal(-0, 0, 1, 3), '=');
  assert.equal(equal(1, Math.fround(1 + 2 ** -22), 1, 3), '~');
  assert.equal(equal(1, 1.001, 1, 3), '');
  assert.equal(equal(1, NaN, 1, 3), '');
});

test('activations are what their names say', () => {
  assert.deepEqual(ACTIVATIONS.map(a => +activate(a, -2).toFixed(4)), [-2, 0, 0, -.02, .1192, -.964, -.8647, -.3333]);
  assert.equal(activate('relu6', 9), 6);
});

test('a filter cannot answer outside what is possible', () => {
  const d = dice(5);
  for (let n = 0; n < 200; n++) {
    const w = Float32Array.from({ length: 9 }, () => d.below(200) / 50 - 2), act = d.pick(ACTIVATIONS), bias = d.below(3) - 1, [lo, hi] = possible(w, bias, act, 255);
    for (let q = 0; q < 50; q++) {
      const y = activate(act, dot(Float32Array.from(w, () => d.pick([0, 255, d.below(256)])), w, bias).sum);
      assert.ok(y >= lo - 1e-2 && y <= hi + 1e-2, `${act}: ${y} in ${lo}..${hi}`);
    }
  }
  assert.deepEqual(possible(Float32Array.of(-1, 2), 0, 'none', 255), [-255, 510]);
});

test('statistics leave NaN and infinities out and count them', () => {
  assert.deepEqual(stats(Float32Array.of(1, NaN, 3, -Infinity)), { lo: 1, hi: 3, mean: 2, bad: 2 });
  assert.deepEqual(stats(Float32Array.of(NaN)), { lo: 0, hi: 0, mean: 0, bad: 1 });
  assert.deepEqual(stats(Float32Array.of(9, 1, 2, 9), 1, 3), { lo: 1, hi: 2, mean: 1.5, bad: 0 });
});

test('the 99 % of a map are those of cells that touch no padding', () => {
  const l = layer({ H: 10, W: 10, Fh: 3, Fw: 3, S: 1, P: 1, K: 1 }), v = new Float32Array(100).fill(1000);
  assert.deepEqual(inner(l), [1, 8, 1, 8]);
  for (let y = 1; y < 9; y++) for (let x = 1; x < 9; x++) v[y * 10 + x] = (y + x) % 2 ? -2 : 3;
  assert.deepEqual(spread(v, 0, l), { lo: -2, hi: 3 });
  assert.deepEqual(inner(layer({ H: 2, W: 2, Fh: 5, Fw: 5, S: 1, P: 2 })), [0, 1, 0, 1]);
});

test('ranges and colours: symmetric about zero, clamped, NaN in its own colour', () => {
  const about = { own: { lo: -1, hi: 4 }, most: { lo: -1, hi: 3 }, all: { lo: -9, hi: 2 }, can: [-7, 7], top: 255 };
  assert.deepEqual(['symmetric', 'minmax', 'global', 'clip', 'possible'].map(k => range(k, about)), [[-3, 3], [-1, 4], [-9, 9], [0, 255], [-7, 7]]);
  assert.deepEqual(range('symmetric', { ...about, most: { lo: 2, hi: 5 } }), [0, 5]);
  assert.equal(LUT.gray[0], 0xff000000);
  assert.equal(LUT.gray[255], 0xffffffff);
  assert.equal(LUT.rdbu.length + LUT.viridis.length, 512);
  assert.equal(colour(NaN, [0, 1], LUT.gray), NAN_COLOUR);
  assert.equal(colour(-5, [0, 1], LUT.gray), LUT.gray[0]);
  assert.equal(colour(5, [0, 1], LUT.gray), LUT.gray[255]);
  assert.equal(colour(7, [7, 7], LUT.gray), LUT.gray[128]);
  assert.ok(![...LUT.gray, ...LUT.rdbu, ...LUT.viridis].includes(NAN_COLOUR));
  const out = new Uint32Array(4);
  paint(out, 4, 4, 2, 2, (x, y) => colour([0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0][4 * y + x], [0, 1], LUT.gray));
  assert.deepEqual([...out], [LUT.gray[0], LUT.gray[255], LUT.gray[255], LUT.gray[0]]);
});

// An npy file as numpy writes it.
function npy(descr, shape, write, fortran = 'False') {
  let head = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': (${shape}), }`;
  head = head.padEnd(117) + '\n';
  const body = write(), file = new Uint8Array(10 + head.length + body.byteLength);
  file.set([0x93, ...Buffer.from('NUMPY'), 1, 0, head.length, 0]);
  file.set(Buffer.from(head), 10);
  file.set(new Uint8Array(body), 10 + head.length);
  return file.buffer;
}

test('npy files of any plain number are read, others refused with a sentence', () => {
  assert.deepEqual(npyRead(npy('<f4', '2, 2', () => Float32Array.of(1, 2, 3, 4.5).buffer)), { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4.5) });
  assert.deepEqual(npyRead(npy('<f8', '3,', () => Float64Array.of(1, 2, 3).buffer)), { shape: [3], data: Float32Array.of(1, 2, 3) });
  assert.deepEqual(npyRead(npy('|u1', '1, 1, 2', () => Uint8Array.of(7, 255).buffer)).data, Float32Array.of(7, 255));
  assert.deepEqual(npyRead(npy('|b1', '2,', () => Uint8Array.of(0, 1).buffer)).data, Float32Array.of(0, 1));
  const big = new DataView(new ArrayBuffer(4));
  big.setInt16(0, -2);
  big.setInt16(2, 300);
  assert.deepEqual(npyRead(npy('>i2', '2,', () => big.buffer)).data, Float32Array.of(-2, 300));
  assert.throws(() => npyRead(npy('<f4', '2, 2', () => new ArrayBuffer(12))), /cut short/);
  assert.throws(() => npyRead(npy('<f4', '2, 2', () => new ArrayBuffer(16), 'True')), /Fortran/);
  assert.throws(() => npyRead(npy('<c8', '2,', () => new ArrayBuffer(16))), /no npy file/);
  for (const bad of ['', 'PNG', '\x93NUMPY', 'x'.repeat(200)]) assert.throws(() => npyRead(new Uint8Array(Buffer.from(bad, 'latin1')).buffer), /npy/);
});

test('pasted numbers become rows, or a sentence', () => {
  const rows = [[-1, 0, 1], [-2, 0, 2]];
  for (const text of ['-1 0 1\n-2 0 2', '-1,0,1;-2,0,2', '[[-1, 0, 1], [-2, 0, 2]]', '{{-1, 0, 1},\n {-2, 0, 2}}', ' -1\t0 1 \r\n\r\n-2 0 2\n']) assert.deepEqual(matrixRead(text), rows);
  for (const text of ['', 'a b', '1 2\n3', '1 Infinity', '1 '.repeat(64)]) assert.throws(() => matrixRead(text), /rows of numbers/);
});

const ids = { sample: ['cat', 'tiny'], weights: ['learned96', 'gabor', 'random', 'custom'] };
const generators = { gabor: [{ name: 'size', type: 'integer', min: 3, max: 63 }, { name: 'sigma', type: 'number', min: .1, max: 100 }], random: [{ name: 'seed', type: 'integer', min: 0, max: 9 }, { name: 'init', type: 'string' }] };

test('a link restores every field', () => {
  const s = { ...defaults(), sample: 'tiny', size: 8, weights: 'gabor', depth: 'luma', flip: true, normalize: true, stride: 2, pad: 'same', padding: 3, padding_mode: 'reflect',
    dilation: 2, bias: -.5, activation: 'relu', cmap: 'viridis', range: 'global', k: 3, cell: 17, other: 1, zoom: 8, gen: { size: 7, sigma: 2.5 } };
  assert.deepEqual(readLink('#' + writeLink(s), ids, generators), s);
  const r = { ...defaults(), weights: 'random', out_channels: 4, kernel_size: 5, groups: 3, gen: { seed: 7, init: 'xavier' } };
  assert.deepEqual(readLink(writeLink(r), ids, generators), r);
  const w = { ...defaults(), weights: 'custom', custom: { shape: [1, 1, 2, 2], data: Float32Array.of(.1, -2, 3e-8, 4), flat: true } };
  assert.deepEqual(readLink(writeLink(w), ids, generators), w);
  assert.equal(writeLink(defaults()), '');
});

test('a hostile link changes nothing', () => {
  const bad = ['size=1e99', 'size=-1', 'size=8.5', 'size=0x10', 'size=', 'size=NaN', 'sample=<script>', 'sample=__proto__', 'weights=constructor', 'flip=yes', 'pad=toString',
    'bias=1e7', 'bias=Infinity', 'range=clip%00', 'k=-1', 'cell=1e10', '__proto__=1', 'gen=1', 'custom=1', 'w=1x1x2x2:1,2,3', 'w=1x1x9999x9999:1', 'w=f1x2x1x1:1,2', 'w=0x0x0x0:', 'g.size=7', '%E0%A4%A', '=', '&&&'];
  for (const text of [...bad, bad.join('&')]) assert.deepEqual({ ...readLink(text, ids, generators), custom: null }, defaults(), text);
  assert.equal(readLink('weights=custom', ids, generators).weights, 'learned96');
  assert.equal(Object.prototype.polluted, undefined);
  for (const key of Object.keys(FIELDS)) assert.equal(parse(key, '\u0000', ids), undefined);
});

test('a request has the API\'s names, and only what is not its default', () => {
  const s = { ...defaults(), weights: 'gabor', gen: { size: 7 }, depth: 'luma', flip: true, stride: 2, padding: 1, bias: 0, activation: 'relu' };
  assert.deepEqual(paramsOf(s, weightsOf(s, true, generators)), { weights: { gabor: { size: 7 } }, depth: 'luma', flip: true, stride: 2, padding: 1, bias: 0, activation: 'relu' });
  const r = { ...defaults(), weights: 'random', groups: 3, pad: 'same', dilation: 2 };
  assert.deepEqual(paramsOf(r, weightsOf(r, false, generators)), { weights: { random: {} }, out_channels: 8, kernel_size: 3, groups: 3, stride: 4, padding: 'same', dilation: 2 });
  const own = { shape: [1, 1, 2, 2], data: Float32Array.of(1, .1, 3, 4), flat: true };
  assert.deepEqual(weightsOf({ ...defaults(), weights: 'custom', depth: 'full' }, true, generators, own), { weights: [[1, .100000001], [3, 4]], depth: 'full' });
});

test('programs quote what a file may be called, and long ones read params.json', () => {
  const text = (image, params) => program('curl', 'http://h:1/', image, params, 'facts');
  assert.equal(text({ sample: 'cat', size: 8 }, { weights: 'box3' }).text, "curl -sS 'http://h:1/convolve' \\\n  -d '{\"image\":{\"sample\":\"cat\",\"size\":8},\"weights\":\"box3\",\"data\":\"none\"}'");
  assert.match(text({ file: "it's;a \"b\".png" }, {}).text, /-F 'image=@"it'\\''s;a \\"b\\"\.png"'/);
  const long = text({ sample: 'cat' }, { weights: { shape: [1000], data: Array(1000).fill(1.25) } });
  assert.equal(long.long, true);
  assert.match(long.text, /-d @params\.json/);
});
