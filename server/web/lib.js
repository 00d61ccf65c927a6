// All that needs no document: node --test runs it as it is.

// What /plan answers; or error: the field to change and why.
export function plan(l) {
  const { C, H, W, K, Fh, Fw, S, D, groups, mode } = l;
  const reachH = D * (Fh - 1) + 1, reachW = D * (Fw - 1) + 1;
  const wrong = (field, text) => ({ ...l, error: { field, text } });
  const side = (n, reach) => {
    if (l.pad === 'pixels') return [l.P, l.P];
    const total = l.pad === 'valid' ? 0 : Math.max(0, (Math.ceil(n / S) - 1) * S + reach - n), less = total >> 1;
    return l.pad === 'same_lower' ? [total - less, less] : [less, total - less];
  };
  const [top, bottom] = side(H, reachH), [left, right] = side(W, reachW);
  const high = H + top + bottom - reachH, wide = W + left + right - reachW;
  if (groups % 1 || l.own && K % groups) return wrong('weights', `These filters are not for ${C} channels.`);
  if (C % groups || K % groups) return wrong('groups', `${groups} groups must divide ${C} channels and ${K} filters.`);
  if (high < 0 || wide < 0) return wrong('padding', `The filter covers ${reachH}×${reachW} pixels, the padded image has only `
    + `${H + top + bottom}×${W + left + right}. Raise the padding to ${Math.ceil(Math.max(reachH - H, reachW - W) / 2)}, or make filter or dilation smaller.`);
  const less = mode === 'reflect' ? 1 : 0;
  if ((less || mode === 'circular') && (Math.max(top, bottom) > H - less || Math.max(left, right) > W - less))
    return wrong('padding', `${mode} padding can be ${Math.min(H, W) - less} at most here.`);
  const OH = Math.floor(high / S) + 1, OW = Math.floor(wide / S) + 1, R = C / groups * Fh * Fw, rows = C * Fh * Fw, cols = OH * OW;
  return { ...l, pads: [top, left, bottom, right], OH, OW, Cg: C / groups, reachH, reachW,
    rows, cols, R, // X_col is [rows x cols], W_row [K x R]
    unused: [high % S, wide % S], macs: K * R * cols,
    bytes: { input: 4 * C * H * W, weights: 4 * K * R, x_col: 4 * rows * cols, output: 4 * K * cols } };
}

export function formula(n, f, p, q, s, d, result) {
  const kernel = d > 1 ? `(${d}·(${f} − 1) + 1)` : f, inner = `(${n} − ${kernel} + ${p === q ? `2·${p}` : `${p} + ${q}`}) / ${s}`;
  return `${(n + p + q - d * (f - 1) - 1) % s ? `⌊${inner}⌋` : inner} + 1 = ${result}`;
}

// How filters meet C channels; flat: 2-D kernels.
export function meet({ shape: [K, Cb, Fh, Fw], flat, depth: usual }, depth, C) {
  if (!flat) return { K, Fh, Fw, groups: C / Cb };
  return (depth === 'auto' ? usual : depth) === 'depthwise' ? { K: K * C, Fh, Fw, groups: C } : { K, Fh, Fw, groups: 1 };
}

// 2-D kernels [K][cells] as the 4-D weights that meet() promises.
export function spreadKernels(kernels, cells, depth, C) {
  const K = kernels.length / cells, each = depth === 'depthwise', out = new Float32Array(kernels.length * C);
  const share = c => depth !== 'luma' ? 1 : C < 3 ? 1 / C : [.299, .587, .114, 0][c];
  kernels.forEach((x, at) => {
    const k = Math.floor(at / cells);
    for (let c = 0; c < C; c++) out[(each ? c * K + k : k * C + c) * cells + at % cells] = x * share(c);
  });
  return out;
}

// Which of n pixels stands at i; -1: zero padding.
export function source(mode, i, n) {
  if (i >= 0 && i < n) return i;
  return { reflect: i < 0 ? -i : 2 * (n - 1) - i, replicate: i < 0 ? 0 : n - 1, circular: i < 0 ? i + n : i - n }[mode] ?? -1;
}

// Where X_col[r][col] comes from: channel, pixel (-1: padding), padded pixel.
export function place(l, r, col) {
  const tap = r % (l.Fh * l.Fw), py = Math.floor(col / l.OW) * l.S + Math.floor(tap / l.Fw) * l.D, px = col % l.OW * l.S + tap % l.Fw * l.D;
  return { c: Math.floor(r / (l.Fh * l.Fw)), py, px, y: source(l.mode, py - l.pads[0], l.H), x: source(l.mode, px - l.pads[1], l.W) };
}

export function xcol(l, v, r, col) {
  const { c, y, x } = place(l, r, col);
  return y < 0 || x < 0 ? 0 : v[(c * l.H + y) * l.W + x];
}

// Every [row, column] of X_col that holds a pixel.
export function copies(l, c, y, x) {
  const axis = (f, o, before, n, at) => Array.from({ length: f * o }, (_, i) => [i % f, Math.floor(i / f)])
    .filter(([i, q]) => source(l.mode, q * l.S + i * l.D - before, n) === at);
  const wide = axis(l.Fw, l.OW, l.pads[1], l.W, x);
  return axis(l.Fh, l.OH, l.pads[0], l.H, y).flatMap(([i, oy]) => wide.map(([j, ox]) => [(c * l.Fh + i) * l.Fw + j, oy * l.OW + ox]));
}

// The output whose window's middle is nearest to a padded pixel.
export function windowAt(l, py, px) {
  const at = (p, reach, n) => clamp(Math.round((p - (reach - 1) / 2) / l.S), n);
  return at(py, l.reachH, l.OH) * l.OW + at(px, l.reachW, l.OW);
}
export const clamp = (x, n) => Math.max(0, Math.min(n - 1, x));

const f64 = new Float64Array(1), u32 = new Uint32Array(f64.buffer);

// float32 a * b + c, rounded once: a double holds the product; the sum, which lost e, is rounded to
// odd, so that rounding it again cannot go wrong.
export function fmaf(a, b, c) {
  const p = a * b, s = p + c, t = s - p, e = (p - (s - t)) + (c - t);
  if (!e || !Number.isFinite(s)) return Math.fround(s);
  f64[0] = s;
  if (!(u32[0] & 1)) {
    if (e > 0 === s > 0) u32[0]++;
    else if (!u32[0]--) u32[1]--;
  }
  return Math.fround(f64[0]);
}

const ACT = {
  none: x => x, relu: x => Math.max(0, x), relu6: x => Math.min(6, Math.max(0, x)), leaky_relu: x => x < 0 ? .01 * x : x,
  sigmoid: x => 1 / (1 + Math.exp(-x)), tanh: Math.tanh, elu: x => x < 0 ? Math.expm1(x) : x, hardswish: x => x * Math.min(6, Math.max(0, x + 3)) / 6,
};
export const ACTIVATIONS = Object.keys(ACT);
export const activate = (name, x) => Math.fround(ACT[name](x));

// One output as the daemon makes it; size bounds any other way's rounding.
export function dot(x, w, bias) {
  let sum = Math.fround(bias), size = Math.abs(bias);
  x.forEach((u, r) => { sum = fmaf(u, w[r], sum); size += Math.abs(u * w[r]); });
  return { sum: sum + 0, size };
}

export function equal(ours, theirs, size, n) {
  if (ours === theirs || (ours !== ours && theirs !== theirs)) return '=';
  return Math.abs(ours - theirs) <= (size + Math.abs(ours)) * (n + 8) * 2 ** -23 ? '~' : '';
}

// What a filter can answer to pixels of 0 to hi.
export function possible(w, bias, act, hi) {
  let a = bias, b = bias;
  for (const x of w) x < 0 ? a += x * hi : b += x * hi;
  const ends = [ACT[act](a), ACT[act](b), ACT[act](Math.max(a, Math.min(b, -1.5)))]; // hardswish dips there
  return [Math.min(...ends), Math.max(...ends)];
}

export function stats(v, from = 0, to = v.length) {
  let lo = Infinity, hi = -Infinity, sum = 0, n = 0;
  for (let i = from; i < to; i++) {
    const x = v[i];
    if (x - x !== 0) continue; // NaN or infinite
    if (x < lo) lo = x;
    if (x > hi) hi = x;
    sum += x;
    n++;
  }
  return n ? { lo, hi, mean: sum / n, bad: to - from - n } : { lo: 0, hi: 0, mean: 0, bad: to - from };
}

// The outputs that touch no padding: [y0, y1, x0, x1].
export function inner(l) {
  const axis = (before, n, reach, o) => {
    const a = Math.ceil(before / l.S), b = Math.floor((n - reach + before) / l.S);
    return a <= b && b < o ? [a, b] : [0, o - 1];
  };
  return [...axis(l.pads[0], l.H, l.reachH, l.OH), ...axis(l.pads[1], l.W, l.reachW, l.OW)];
}

// What 99 % of these lie between: a padded border must not wash out the rest.
export function spread(v, from, l) {
  const [y0, y1, x0, x1] = inner(l), w = x1 - x0 + 1, n = w * (y1 - y0 + 1), take = Math.min(n, 1024);
  const s = Float32Array.from({ length: take }, (_, i) => {
    const q = Math.floor(i * n / take);
    return v[from + (y0 + Math.floor(q / w)) * l.OW + x0 + q % w];
  }).filter(Number.isFinite).sort();
  return s.length ? { lo: s[Math.floor(s.length * .005)], hi: s[Math.ceil(s.length * .995) - 1] } : { lo: 0, hi: 0 };
}

const symmetric = ({ lo, hi }) => [lo < 0 ? -Math.max(-lo, hi) : 0, Math.max(Math.abs(lo), hi)];

export const range = (kind, { own, all, most, can, top }) => ({
  minmax: [own.lo, own.hi], global: all && symmetric(all), clip: [0, top], possible: can, symmetric: symmetric(most) })[kind];

const hex = s => s.split(' ').map(h => [0, 2, 4].map(i => parseInt(h.slice(i, i + 2), 16)));
const STOPS = {
  gray: hex('000000 ffffff'),
  viridis: hex('440154 472d7b 3b528b 2c728e 21918c 27ad81 5cc863 aadc32 fde725'),
  rdbu: hex('053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f'),
};
// As a canvas' words: 0xAABBGGRR.
export const LUT = Object.fromEntries(Object.entries(STOPS).map(([name, s]) => [name, Uint32Array.from({ length: 256 }, (_, i) => {
  const p = i / 255 * (s.length - 1), a = Math.min(s.length - 2, Math.floor(p));
  const [r, g, b] = [0, 1, 2].map(c => Math.round(s[a][c] + (s[a + 1][c] - s[a][c]) * (p - a)));
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
})]));
export const NAN_COLOUR = 0xffff00ff; // magenta: in none of them
export const css = u => `rgb(${u & 255} ${u >> 8 & 255} ${u >> 16 & 255})`;
export const bright = u => .299 * (u & 255) + .587 * (u >> 8 & 255) + .114 * (u >> 16 & 255) > 140;

export function colour(x, [lo, hi], lut) {
  if (x !== x) return NAN_COLOUR;
  const q = hi > lo ? (x - lo) * 255 / (hi - lo) + .5 : 128;
  return lut[q <= 0 ? 0 : q >= 255 ? 255 : q | 0];
}

// A w x h picture, its colours at(x, y), in w2 x h2 pixels.
export function paint(out, w, h, w2, h2, at) {
  for (let y = 0, i = 0; y < h2; y++)
    for (let x = 0; x < w2; x++) out[i++] = at(Math.floor((x + .5) * w / w2), Math.floor((y + .5) * h / h2));
}

export function npyRead(file) {
  const view = new DataView(file), start = view.byteLength > 10 && 10 + view.getUint16(8, true);
  const head = new TextDecoder('latin1').decode(new Uint8Array(file).subarray(0, start));
  const dims = /'shape':\s*\(([\d,\s]*)\)/.exec(head), kind = /'descr':\s*'([<>|])([fiub])(\d)'/.exec(head);
  const get = kind && { f: 'Float', i: 'Int', u: 'Uint', b: 'Uint' }[kind[2]] + 8 * kind[3];
  if (!head.startsWith('NUMPY', 1) || !dims || !DataView.prototype['get' + get]) throw new Error('This is no npy file of numbers.');
  if (/'fortran_order':\s*True/.test(head)) throw new Error('This npy file is in Fortran order; save np.ascontiguousarray(w).');
  const shape = dims[1].split(',').filter(s => s.trim()).map(Number), n = shape.reduce((a, x) => a * x, 1);
  if (view.byteLength < start + n * kind[3]) throw new Error('This npy file is cut short.');
  return { shape, data: Float32Array.from({ length: n }, (_, i) => Number(view['get' + get](start + i * kind[3], kind[1] !== '>'))) };
}

export function matrixRead(text) {
  const rows = text.split(/\n|;|\]\s*,/).map(line => line.replace(/[[\](){}]/g, ' ').split(/[\s,]+/).filter(Boolean).map(Number)).filter(r => r.length);
  const n = rows[0]?.length;
  if (!n || n > 63 || rows.length > 63 || rows.some(r => r.length !== n || !r.every(Number.isFinite)))
    throw new Error('Paste up to 63 rows of numbers, as many in each: "-1 0 1".');
  return rows;
}

export const fmt = x => Number.isFinite(x)
  ? (Math.abs(x) >= 1e6 || (x && Math.abs(x) < 1e-3) ? x.toExponential(2) : +x.toFixed(Math.abs(x) < 100 ? 4 : 2)).toString().replace('-', '−') : String(x);
export const bytes = n => n < 1024 ? `${n} B` : n < 2 ** 20 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 2 ** 20).toFixed(1)} MiB`;

// What a form and a link may hold: words, the preset first; [least, most, preset]; true: a box.
export const FIELDS = {
  sample: ['cat'], size: [1, 1024, 227], weights: ['learned96'], depth: ['auto', 'full', 'depthwise', 'luma'], flip: true, normalize: true,
  out_channels: [1, 512, 8], kernel_size: [1, 63, 3], stride: [1, 64, 4], pad: ['pixels', 'valid', 'same', 'same_lower'], padding: [0, 256, 0],
  padding_mode: ['zeros', 'reflect', 'replicate', 'circular'], dilation: [1, 64, 1], groups: [1, 16, 1], bias: [-1e6, 1e6, ''], activation: ACTIVATIONS,
  cmap: ['auto', 'gray', 'viridis', 'rdbu'], range: ['symmetric', 'minmax', 'global', 'clip', 'possible'],
  k: [0, 65535, 0], cell: [-1, 1e9, -1], other: [-1, 65535, -1], zoom: [0, 64, 0],
};
const isNumber = f => typeof f[0] === 'number';
export const preset = key => FIELDS[key] === true ? false : FIELDS[key][isNumber(FIELDS[key]) ? 2 : 0];
export const defaults = () => ({ ...Object.fromEntries(Object.keys(FIELDS).map(k => [k, preset(k)])), gen: {}, custom: null });

export function parse(key, text, ids = {}) {
  const f = FIELDS[key], n = Number(text);
  if (f === true) return text === '1' || undefined;
  if (!isNumber(f)) return [...f, ...ids[key] ?? []].includes(text) ? text : undefined;
  return String(n) === text && n >= f[0] && n <= f[1] && (key === 'bias' || Number.isInteger(n)) ? n : undefined;
}

// Generators' numbers are g.NAME in a link, own filters w=1x1x3x3:numbers.
export function readLink(hash, ids, generators = {}) {
  const s = defaults(), q = new URLSearchParams(hash.replace(/^#/, ''));
  for (const key of Object.keys(FIELDS)) s[key] = parse(key, q.get(key) ?? '', ids) ?? s[key];
  s.custom = readFilters(q.get('w') ?? '');
  if (s.weights === 'custom' && !s.custom) s.weights = preset('weights');
  for (const p of generators[s.weights] ?? []) {
    const text = q.get('g.' + p.name), n = Number(text);
    if (p.type === 'string' ? ['he', 'xavier'].includes(text) : String(n) === text && n >= p.min && n <= p.max && (p.type !== 'integer' || Number.isInteger(n)))
      s.gen[p.name] = p.type === 'string' ? text : n;
  }
  return s;
}

export function writeLink(s) {
  const q = Object.keys(FIELDS).filter(k => s[k] !== preset(k)).map(k => `${k}=${s[k] === true ? 1 : s[k]}`);
  for (const [k, v] of Object.entries(s.gen)) q.push(`g.${k}=${v}`);
  const w = s.weights === 'custom' && s.custom;
  if (w && w.data.length <= 1024) q.push(`w=${w.flat ? 'f' : ''}${w.shape.join('x')}:${Array.from(w.data, short)}`);
  return q.join('&');
}

const short = x => +x.toPrecision(9); // restores the float32
function readFilters(text) {
  const m = /^(f?)(\d+)x(\d+)x(\d+)x(\d+):([-+\d.e,]+)$/i.exec(text), shape = m?.slice(2, 6).map(Number), data = m && Float32Array.from(m[6].split(','), Number);
  const fits = m && data.length <= 1024 && data.length === shape.reduce((a, b) => a * b) && shape.every(n => n > 0 && n < 65) && (!m[1] || shape[1] === 1);
  return fits && data.every(Number.isFinite) ? { shape, data, flat: !!m[1] } : null;
}

export function weightsOf(s, flat, generators, own) {
  const p = {};
  if (own) {
    p.weights = own.flat ? Array.from({ length: own.shape[2] }, (_, y) => Array.from(own.data.subarray(y * own.shape[3], (y + 1) * own.shape[3]), short))
      : { shape: own.shape, data: Array.from(own.data, short) };
    if (own.groups > 1) p.groups = own.groups;
  } else p.weights = generators[s.weights] ? { [s.weights]: s.gen } : s.weights;
  if (s.weights === 'random') {
    Object.assign(p, { out_channels: s.out_channels, kernel_size: s.kernel_size });
    if (s.groups > 1) p.groups = s.groups;
  }
  if (flat && s.depth !== 'auto' && (!own || own.flat)) p.depth = s.depth;
  if (s.flip) p.flip = true;
  if (s.normalize) p.normalize = true;
  return p;
}

// Stride and padding always: banks bring their own.
export function paramsOf(s, weights) {
  const p = { ...weights, stride: s.stride, padding: s.pad === 'pixels' ? s.padding : s.pad };
  for (const key of ['padding_mode', 'dilation', 'bias', 'activation']) if (s[key] !== preset(key)) p[key] = s[key];
  return p;
}

const ANSWERS = { facts: { data: 'none' }, numbers: {}, png: { format: 'png' }, npy: { format: 'npy' } };
const sh = s => `'${s.replaceAll("'", "'\\''")}'`;

// A program that sends the request; long: it reads params.json.
export function program(language, base, image, params, answer) {
  const p = { ...(image.file ? {} : { image }), ...params, ...ANSWERS[answer] }, text = JSON.stringify(p), long = text.length > 2000;
  const write = { curl, python, javascript, c }[language];
  return { text: write({ url: base + 'convolve', file: image.file, text, long, to: p.format && 'maps.' + p.format }), long };
}

function curl({ url, file, text, long, to }) {
  const picture = file && (/[";,\\]/.test(file) ? `image=@"${file.replace(/["\\]/g, '\\$&')}"` : `image=@${file}`);
  const parts = file ? [`-F ${sh(picture)}`, `-F params=${long ? "'<params.json'" : sh(text)}`] : [`-d ${long ? '@params.json' : sh(text)}`];
  return [`curl -sS ${sh(url)}`, ...parts, ...(to ? [`-o ${to}`] : [])].join(' \\\n  ');
}

function python({ url, file, text, long, to }) {
  return `import ${file ? 'base64, ' : ''}json, urllib.request

layer = json.load${long ? '(open("params.json"))' : `s(r'''${text}''')`}
${file ? `layer["image"] = {"base64": base64.b64encode(open(${JSON.stringify(file)}, "rb").read()).decode()}\n` : ''}\
reply = urllib.request.urlopen(${JSON.stringify(url)}, json.dumps(layer).encode())
${to ? `open("${to}", "wb").write(reply.read())` : 'maps = json.load(reply)\nprint(maps["output"]["shape"])'}
`;
}

function javascript({ url, file, text, long, to }) {
  return `${long || file || to ? 'import { readFileSync, writeFileSync } from "node:fs"; // Node 18 or later\n' : ''}\
const layer = ${long ? 'JSON.parse(readFileSync("params.json"))' : text};
${file ? `layer.image = { base64: readFileSync(${JSON.stringify(file)}, "base64") };\n` : ''}\
const reply = await fetch(${JSON.stringify(url)}, { method: "POST", body: JSON.stringify(layer) });
if (!reply.ok) throw new Error((await reply.json()).detail);
${to ? `writeFileSync("${to}", Buffer.from(await reply.arrayBuffer()));` : 'const maps = await reply.json();\nconsole.log(JSON.stringify(maps.output.shape));'}
`;
}

function c({ url, file, text, long, to }) {
  const part = (name, how) => `    part = curl_mime_addpart(mime);\n    curl_mime_name(part, "${name}");\n    ${how}\n`;
  return `/* cc layer.c -lcurl -o layer && ./layer */
#include <curl/curl.h>
#include <stdio.h>

int main(void)
{
    CURL *curl = curl_easy_init();
    curl_mime *mime = curl_mime_init(curl);
    curl_mimepart *part;
    FILE *out = ${to ? `fopen("${to}", "wb")` : 'stdout'};

${part('params', long ? 'curl_mime_filedata(part, "params.json");\n    curl_mime_filename(part, NULL);' : `curl_mime_data(part, ${JSON.stringify(text)}, CURL_ZERO_TERMINATED);`)}\
${file ? part('image', `curl_mime_filedata(part, ${JSON.stringify(file)});`) : ''}\
    curl_easy_setopt(curl, CURLOPT_URL, ${JSON.stringify(url)});
    curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    return curl_easy_perform(curl) != CURLE_OK;
}
`;
}
