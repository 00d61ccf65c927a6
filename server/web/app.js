// The page: what is chosen becomes a request, the reply becomes pictures. State is one object; the
// address holds it; every number that is shown comes from the server.
import { $, copyText, el, save, themeButton } from './dom.js';
import { ACTIVATIONS, bytes, count, fmt, formula, matrixRead, meet, npyRead, npyWrite, plan, spreadKernels, stats } from './lib.js';
import { FIELDS, defaults, paramsOf, preset, program, readLink, weightsOf, writeLink } from './request.js';
import { Editor } from './editor.js';
import { Maps } from './maps.js';
import { Stepper } from './stepper.js';

const BASE = new URL('.', document.baseURI).href; // also behind a path prefix
const NUMBERS = ['size', 'K', 'F', 'S', 'P', 'D', 'groups', 'bias'];
const WORDS = ['sample', 'bank', 'depth', 'pad', 'mode', 'act'];
const SHOWN = ['cmap', 'range', 'other']; // change the view, not the request
const AUTO_FLOP = 2e9, AUTO_BYTES = 16 * 2 ** 20, SEND_MOST = 512;
const TRY = {
  textbook: { sample: 'cat', size: 227, bank: 'learned96', S: 4, P: 0 },
  tiny: { sample: 'tiny', size: 8, bank: 'sobel_x', P: 1, depth: 'luma' },
  edges: { sample: 'cat', size: 227, bank: 'kirsch8', P: 1 },
  blur: { sample: 'cat', size: 227, bank: 'gaussian5', P: 2 },
  gabor: { sample: 'cat', size: 227, bank: 'gabor', P: 5 },
};

const state = { ...defaults(), gen: {}, custom: null };
const ids = { sample: [], bank: ['random', 'custom'] };
const banks = {}, samples = {}, generators = {};
let mine = null;    // the reader's own picture: { name, blob, width, height, full: [w, h], bitmap }
let result = null;  // the last reply: l, input, w, v, top, name, bias
let language = 'curl', sequence = 0, abort = null, timer = 0, ready = false;
const kept = { input: {}, weights: {}, kernels: {} }; // last replies that are used again, by key

const maps = new Maps(state, picked);
const editor = new Editor(edited);
const stepper = new Stepper(state, picked, i => editor.light(i));

// --- the layer ----------------------------------------------------------------------------------

function bank() {
  const s = state, g = name => s.gen[name] ?? generators[s.bank].find(p => p.name === name)?.default ?? 1;
  if (s.bank === 'random') return { shape: [s.K, inputSize().C / s.groups, s.F, s.F], flat: false, kind: 'layer' };
  if (s.bank === 'custom') return { ...s.custom, kind: 'layer', depth: 'depthwise' };
  const b = banks[s.bank];
  return b.shape ? b : { ...b, shape: [g('orientations') * g('frequencies'), 1, g('size'), g('size')] };
}

function inputSize() {
  const known = kept.input.key === inputKey() && kept.input.value;
  if (known) return known;
  if (mine) return { C: mine.channels ?? 3, H: mine.height, W: mine.width };
  return { C: samples[state.sample]?.channels ?? 3, H: state.size, W: state.size };
}

function layer() {
  const { C, H, W } = inputSize(), { S, P, pad, D, mode, act } = state;
  return plan({ C, H, W, ...meet(bank(), state.depth, C), S, P, pad, D, mode, act });
}

// What is wrong with a field of the form, before anybody is asked.
function wrongField() {
  for (const id of [...NUMBERS, ...Object.keys(state.gen).map(k => 'g-' + k)]) {
    const e = $(id);
    if (!e || e.disabled || e.validity.valid || (id === 'bias' && e.value === '')) continue;
    if (id === 'size' && mine) continue;
    return { field: id, text: `${e.labels[0].textContent} must be ${e.step === 'any' ? 'a number' : 'a whole number'} from ${e.min} to ${e.max}.` };
  }
  return null;
}

// --- the request ----------------------------------------------------------------------------------

function spread() { // several edited 2-D kernels travel as 4-D weights
  const w = state.custom;
  if (state.bank !== 'custom' || !w.flat || w.shape[0] === 1) return undefined;
  const { C } = inputSize(), [K, , Fh, Fw] = w.shape, m = meet(bank(), state.depth, C);
  const depth = m.groups > 1 ? 'depthwise' : state.depth;
  return { shape: [m.K, C / m.groups, Fh, Fw], groups: m.groups, data: spreadKernels(w.data, Fh * Fw, depth, C), K };
}
const weightParams = () => weightsOf(state, bank(), generators, spread());
const params = () => paramsOf(state, weightParams());
const image = () => mine ? { file: mine.name } : { sample: state.sample, size: state.size };
const inputKey = () => mine ? `file ${mine.id}` : `${state.sample} ${state.size}`;

class Problem extends Error {
  constructor(status, document, retry) {
    super(document.detail || document.title || `The server answers ${status}.`);
    Object.assign(this, { status, retry, pointer: document.pointer ?? '' });
  }
}

// POST /convolve; the body of the reply as bytes, and its headers.
async function ask(p, signal, own = mine) {
  const json = JSON.stringify(own ? p : { image: image(), ...p });
  let body = json;
  if (own) {
    body = new FormData();
    body.append('image', own.blob, own.name);
    body.append('params', json);
  }
  const reply = await fetch(BASE + 'convolve', {
    method: 'POST', body, signal, ...(own ? {} : { headers: { 'Content-Type': 'application/json' } }),
  });
  if (!reply.ok) {
    const document = await reply.json().catch(() => ({}));
    throw new Problem(reply.status, document, Number(reply.headers.get('Retry-After')) || 0);
  }
  return { data: await reply.arrayBuffer(), headers: reply.headers };
}

const shapeOf = headers => headers.get('Convolved-Output-Shape').split(',').map(Number);

async function keep(slot, key, make) {
  if (kept[slot].key !== key) kept[slot] = { key, value: await make() };
  return kept[slot].value;
}

// The picture as the server decodes it, [C][H][W].
const input = signal => keep('input', inputKey(), async () => {
  const r = await ask({ weights: 'identity', what: 'input', format: 'raw' }, signal), [, C, H, W] = shapeOf(r.headers);
  const v = new Float32Array(r.data), { hi } = stats(v);
  return { C, H, W, v, top: hi > 255 ? 65535 : 255 };
});

// The weights as the server uses them: asked for with an empty picture of the right channels.
function weights(C, p, slot, signal) {
  return keep(slot, JSON.stringify([C, p]), async () => {
    const [, , Fh, Fw] = bank().shape, side = Math.max(Fh, Fw);
    const image = { shape: [C, side, side], base64: btoa('\0'.repeat(4 * C * side * side)) };
    const r = await ask({ image, ...p, stride: 1, padding: 0, what: 'weights', format: 'raw' }, signal, null);
    return new Float32Array(r.data);
  });
}

// The bank's own filters, for the editor: 2-D kernels before they meet the channels.
function filters(signal) {
  const b = bank(), p = weightsOf({ ...state, flip: false, norm: false, depth: 'full' }, b, generators, undefined);
  return b.flat ? weights(1, p, 'kernels', signal) : null;
}

// --- a run ------------------------------------------------------------------------------------------

function edit() { // after every change: check, show shapes, and ask in a moment
  const bad = wrongField(), l = bad ? null : layer();
  complain(bad ?? l.error);
  remember();
  setFields(l);
  clearTimeout(timer);
  abort?.abort();
  sequence++;
  busy(false);
  $('big').hidden = true;
  if (bad) return;
  shapes(l);
  snippet();
  if (l.error) return say('This layer cannot be: see the message.');
  if (2 * l.macs > AUTO_FLOP || l.bytes.output > AUTO_BYTES) {
    $('big').hidden = false;
    $('big').lastElementChild.textContent = `${count(Math.round(2 * l.macs / 1e6))} MFLOP, ${bytes(l.bytes.output)} of maps: more than is run at every change.`;
    return say('Press Run.');
  }
  timer = setTimeout(run, ready ? 120 : 0);
}

async function run(again = true) {
  const n = ++sequence, mineNow = mine, key = inputKey();
  abort?.abort();
  abort = new AbortController();
  const { signal } = abort, slow = setTimeout(() => { $('slow').hidden = false; }, 300);
  busy(true);
  complain(null);
  if (ready) say('Convolving…');
  try {
    let picture = mineNow ? await input(signal) : null; // its channels decide about the weights
    const { C } = inputSize(), p = params();
    const [i, w, kernels, maps] = await Promise.all([picture ?? input(signal),
      weights(C, weightParams(), 'weights', signal), filters(signal), ask({ ...p, format: 'raw' }, signal)]);
    if (n !== sequence || key !== inputKey()) return; // a later edit has overtaken this one
    $('big').hidden = true;
    show(i, w, kernels, maps);
  } catch (e) {
    if (n === sequence) failed(e, again);
  } finally {
    clearTimeout(slow);
    if (n === sequence) busy(false);
  }
}

function failed(e, again) {
  if (e.name === 'AbortError') return;
  if (!(e instanceof Problem)) {
    if (e instanceof TypeError && /fetch|network|load/i.test(e.message)) return gone();
    console.error(e);
    return complain({ text: String(e) });
  }
  if (e.status === 503 && again) {
    const s = Math.max(1, e.retry);
    complain({ text: `${e.message} Trying again in ${s} s.` });
    say('The server is busy.');
    timer = setTimeout(() => run(false), s * 1000);
    return;
  }
  complain({ field: fieldOf(e.pointer), text: e.message });
  say(e.status === 413 ? 'Over a limit of the server.' : `The server answers ${e.status}.`);
}

// The server does not answer: ask it every second whether it lives, then go on.
function gone() {
  const n = sequence;
  complain({ text: 'The server does not answer. Trying again every second…' });
  say('The server is gone.');
  const poll = async () => {
    if (n !== sequence) return;
    const alive = await fetch(BASE + 'livez', { signal: AbortSignal.timeout(2000) }).then(r => r.ok, () => false);
    if (n !== sequence) return;
    if (alive) run();
    else timer = setTimeout(poll, 1000);
  };
  timer = setTimeout(poll, 1000);
}

const POINTERS = { out_channels: 'K', kernel_size: 'F', stride: 'S', padding: 'P', pads: 'P', auto_pad: 'pad', padding_mode: 'mode',
  dilation: 'D', activation: 'act', weights: 'bank', image: 'image', depth: 'depth', groups: 'groups', bias: 'bias', normalize: 'norm' };
function fieldOf(pointer) {
  const path = pointer.split('/').filter(Boolean), last = $('g-' + path.at(-1));
  return last ? last.id : POINTERS[path[0]];
}

function complain(problem) {
  for (const e of document.querySelectorAll('[aria-invalid]')) {
    e.removeAttribute('aria-invalid');
    e.removeAttribute('aria-errormessage');
  }
  $('problem').textContent = problem?.text ?? '';
  const e = problem?.field && $(problem.field);
  if (!e) return;
  e.setAttribute('aria-invalid', 'true');
  e.setAttribute('aria-errormessage', 'problem');
}

const say = text => { $('status').textContent = text; };
function busy(on) {
  if (on) $('results').setAttribute('aria-busy', 'true');
  else { $('results').removeAttribute('aria-busy'); $('slow').hidden = true; }
}

function show(i, w, kernels, reply) {
  const l = layer(), v = new Float32Array(reply.data), [, K, OH, OW] = shapeOf(reply.headers);
  if (l.error || K !== l.K || OH !== l.OH || OW !== l.OW) // must not be: the tests look for this
    throw new Error(`The page expected ${l.K}×${l.OH}×${l.OW}, the server says ${K}×${OH}×${OW}.`);
  const b = bank(), own = (b.bias ?? 0) * i.top, bias = state.bias === '' ? own : state.bias;
  result = { l, input: i.v, top: i.top, w, v, name, bias: () => bias, kernels,
    used: Number(reply.headers.get('Convolved-Workspace-Bytes')), timing: reply.headers.get('Server-Timing') };
  if (state.cell < 0 || state.cell >= l.cols) state.cell = (l.OH >> 1) * l.OW + (l.OW >> 1);
  ready = true;
  const ms = Object.fromEntries([...result.timing.matchAll(/(\w+);dur=([\d.]+)/g)].map(m => [m[1], +m[2]]));
  shapes(l);
  maps.show(result);
  stepper.show(result, maps.first);
  showEditor();
  snippet();
  say(`${count(K)} map${K > 1 ? 's' : ''} of ${OW}×${OH}: convolved in ${ms.convolve.toFixed(2)} ms (decoded in ${ms.decode.toFixed(2)}, waited ${ms.queue.toFixed(2)}).`);
  document.documentElement.dataset.shown = sequence; // for tests and screen recordings
}

// --- shapes -------------------------------------------------------------------------------------------

function shapes(l) {
  if (l.error) {
    for (const id of ['formula', 'verdict']) $(id).textContent = '';
    for (const id of ['product', 'cost']) $(id).replaceChildren();
    return;
  }
  const [top, left, bottom, right] = l.pads, square = l.H === l.W && l.Fh === l.Fw && top === left && bottom === right;
  const across = formula(l.W, l.Fw, left, right, l.S, l.D, l.OW), down = formula(l.H, l.Fh, top, bottom, l.S, l.D, l.OH);
  const lost = l.unused.map((n, i) => n ? `${n} ${i ? 'column' : 'row'}${n > 1 ? 's' : ''}` : '').filter(Boolean);
  $('formula').textContent = `(W − F + 2P) / S + 1 = ${square ? across : `${across} across, ${down} down`}`
    + (lost.length ? `. No window reaches the last ${lost.join(' and ')} of the padded input.` : '');
  const box = (id, title, size, ...why) => el('div', { className: id }, el('b', {}, ...title), el('span', { className: 'dims', textContent: size }), ...why.map(t => el('small', { textContent: t })));
  const sub = (a, b) => [a, el('sub', { textContent: b })], depth = `${l.Cg}·${l.Fh}·${l.Fw}`;
  const each = l.groups > 1 ? ` in ${l.groups} groups, each with its own ${l.R} rows of X_col` : '';
  $('product').replaceChildren(
    box('c', sub('W', 'row'), `${l.K} × ${l.R}`, `one row for each of ${l.K} filters${each}`, `${depth} = ${l.R} weights each`), el('span', { textContent: '·' }),
    box('b', sub('X', 'col'), `${l.rows} × ${l.cols}`, `${l.C}·${l.Fh}·${l.Fw} = ${l.rows} pixels under a window`, `${l.OW}·${l.OH} = ${l.cols} windows`), el('span', { textContent: '=' }),
    box('d', ['Maps'], `${l.K} × ${l.cols}`, `one row for each filter: ${l.OH}×${l.OW}×${l.K}`, `${count(l.macs)} multiply-adds, ${(2 * l.macs / 1e6).toFixed(1)} MFLOP`));
  cost(l);
}

function cost(l) {
  const b = l.bytes, times = b.x_col / b.input, known = result?.l.macs === l.macs && result.l.rows === l.rows;
  const items = [['Input', b.input, `${l.C}×${l.H}×${l.W}`], ['X_col', b.x_col, `×${times.toFixed(1)} the input`],
    ['W_row', b.weights, ''], ['Maps', b.output, ''], ...(known ? [['Used here', result.used, 'instead of X_col']] : [])];
  const most = Math.max(...items.map(i => i[1]));
  $('cost').replaceChildren(...items.flatMap(([name, n, note]) => [el('dt', { textContent: name }),
    el('dd', {}, el('meter', { max: most, value: n, 'aria-label': `Memory of ${name}`, className: name === 'Used here' ? 'used' : '' })),
    el('dd', { textContent: `${bytes(n)}${note ? ` (${note})` : ''}` })]));
  $('verdict').textContent = `im2col writes each pixel into up to ${Math.ceil(l.Fh / l.S) * Math.ceil(l.Fw / l.S)} columns: ${bytes(b.x_col)} for ${bytes(b.input)} of input.`
    + (known ? ` This daemon never builds X_col whole: it worked in ${bytes(result.used)}.` : '');
}

// --- filters --------------------------------------------------------------------------------------------

function name(k) {
  const b = bank(), { C } = inputSize(), K0 = b.shape[0], m = meet(b, state.depth, C);
  const channel = b.flat && m.groups > 1 ? ` ${['red', 'green', 'blue'][C > 2 ? Math.floor(k / K0) : 9] ?? ''}` : '';
  const q = k % K0;
  if (state.bank === 'gabor') {
    const f = state.gen.frequencies ?? generators.gabor.find(p => p.name === 'frequencies').default, o = K0 / f;
    return `${+(180 * (q % o) / o).toFixed(1)}°, wave ${Math.floor(q / o) + 1}${channel}`;
  }
  return `${b.names?.[q] ?? (K0 > 1 ? '' : state.bank === 'custom' ? 'yours' : state.bank)}${channel}`.trim();
}

// The bank's own filters as [K][Cb][Fh][Fw], and which of them makes map k.
function ownFilters() {
  const b = bank();
  if (state.bank === 'custom') return state.custom;
  return { shape: b.shape, data: b.flat ? result.kernels : result.w, flat: b.flat };
}

function showEditor() {
  const own = ownFilters();
  editor.show(own, state.k % own.shape[0], bank().names?.[state.k % own.shape[0]] ?? '');
}

function edited(k, index, value) {
  const own = ownFilters(), [, Cb, Fh, Fw] = own.shape, data = own.data.slice();
  data[k * Cb * Fh * Fw + index] = value;
  useCustom({ shape: own.shape, data, flat: own.flat });
}

// Filters of one's own. The channels stay as they were met; what was folded in is not folded again.
function useCustom(custom) {
  const s = state;
  if (s.bank !== 'custom' && s.depth === 'auto' && custom.flat) s.depth = bank().depth ?? 'auto';
  if (!custom.flat) Object.assign(s, { flip: false, norm: false });
  s.custom = custom;
  s.bank = 'custom';
  sync();
  edit();
}

function choose(id) { // a bank brings its own stride, padding and reading of channels
  const b = banks[id];
  Object.assign(state, { bank: id, gen: {}, depth: 'auto', flip: false, norm: false, k: 0 });
  if (b) {
    state.S = b.stride ?? 1;
    state.pad = b.same ? 'same' : 'pixels';
    state.P = b.same ? Math.floor((bank().shape[2] - 1) / 2) : b.padding ?? 0;
  }
  sync();
}

function generatorFields() {
  const list = state.bank === 'random' ? [] : generators[state.bank] ?? [];
  $('generator').replaceChildren(...list.flatMap(p => {
    const id = 'g-' + p.name, whole = p.type === 'integer';
    const input = el('input', { id, type: 'number', min: p.min, max: p.max, step: whole ? 1 : 'any', title: p.help, value: state.gen[p.name] ?? p.default ?? '' });
    input.addEventListener('input', () => {
      if (input.value === '' || !Number.isFinite(input.valueAsNumber)) delete state.gen[p.name];
      else state.gen[p.name] = input.valueAsNumber;
      edit();
    });
    return [el('label', { htmlFor: id, title: p.help, textContent: p.name }), input];
  }), ...(state.bank === 'random' ? randomFields() : []));
}

function randomFields() {
  const init = el('select', { id: 'init' }, new Option('he'), new Option('xavier'));
  const seed = el('input', { id: 'seed', type: 'number', min: 0, max: FIELDS.seed[2], step: 1, value: state.seed });
  init.value = state.init;
  init.addEventListener('change', () => { state.init = init.value; edit(); });
  seed.addEventListener('input', () => { if (seed.validity.valid && seed.value) { state.seed = seed.valueAsNumber; edit(); } });
  return [el('label', { htmlFor: 'seed', textContent: 'seed' }), seed, el('label', { htmlFor: 'init', textContent: 'init' }), init];
}

// --- the form -------------------------------------------------------------------------------------------

// State to form. Fields that the bank decides are shown, but not for editing.
function sync() {
  for (const id of [...NUMBERS, ...WORDS, ...SHOWN]) $(id).value = state[id];
  if (mine) $('sample').value = '';
  for (const id of ['flip', 'norm']) $(id).checked = state[id];
  $('bank').querySelector('[value=custom]').hidden = !state.custom;
  $('bank-help').textContent = state.bank === 'custom' ? 'Your own filters.' : banks[state.bank]?.help ?? 'Weights by chance, as a network begins.';
  generatorFields();
}

function setFields(l) {
  const b = bank(), random = state.bank === 'random';
  for (const id of ['K', 'F', 'groups']) $(id).disabled = !random;
  if (!random) {
    $('K').value = l?.K ?? b.shape[0];
    $('F').value = b.shape[2];
    $('groups').value = l?.groups ?? 1;
  }
  $('depth').disabled = !b.flat;
  $('P').disabled = state.pad !== 'pixels';
  $('size').disabled = !!mine;
}

function remember() {
  history.replaceState(history.state, '', '#' + writeLink(state, !!mine));
}

function picked(k, cell) {
  const other = k !== undefined && k !== state.k;
  if (k !== undefined) state.k = k;
  if (cell !== undefined) state.cell = cell;
  remember();
  if (!result) return;
  if (other) { maps.large(); showEditor(); }
  else if (cell !== undefined) maps.cells();
  stepper.show(result, maps.first);
}

function restore() { // from the address: first load, Back, a pasted link
  Object.assign(state, readLink(location.hash, ids, generators));
  if (new URLSearchParams(location.hash.slice(1)).has('sample')) mine = null;
  sync();
  used();
  edit();
}

// --- pictures -------------------------------------------------------------------------------------------

async function take(file, full = false) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return complain({ field: 'image', text: `This browser cannot read ${file.name || 'the file'} as a picture.` });
  }
  const known = /^image\/(png|jpeg|bmp)$/.test(file.type), most = Math.max(bitmap.width, bitmap.height);
  const scale = full ? 1 : Math.min(1, SEND_MOST / most);
  const width = Math.max(1, Math.round(bitmap.width * scale)), height = Math.max(1, Math.round(bitmap.height * scale));
  const plain = (file.name || 'picture').replace(/\.\w+$/, '');
  mine = { id: Math.random(), width, height, full: [bitmap.width, bitmap.height], file, blob: file, name: file.name || 'picture.png', converted: !known };
  if (scale < 1 || !known) {
    const c = new OffscreenCanvas(width, height), g = c.getContext('2d');
    g.imageSmoothingQuality = 'high';
    g.drawImage(bitmap, 0, 0, width, height);
    mine.blob = await c.convertToBlob({ type: 'image/png' });
    mine.name = `${plain}${scale < 1 ? `-${width}x${height}` : ''}.png`;
  }
  state.cell = -1;
  sync();
  used();
  edit();
}

function used() {
  $('used').hidden = !mine;
  $('picture').hidden = !mine || mine.blob === mine.file;
  if (!mine) return;
  const [w, h] = mine.full, less = mine.width < w;
  $('used').firstElementChild.textContent = `Using ${mine.width}×${mine.height}${less ? ` of ${w}×${h}` : ''} of ${mine.file.name || 'the pasted picture'}.`
    + (mine.converted ? ' The server does not read this format: your browser turned it into PNG.' : '');
  $('full').hidden = !less;
}

// --- this request ---------------------------------------------------------------------------------------

function snippet() {
  const { text, long } = program(language, BASE, image(), params(), $('answer').value);
  for (const b of document.querySelectorAll('[data-lang]')) b.setAttribute('aria-pressed', b.dataset.lang === language);
  $('program').textContent = text;
  const needs = [...(long ? ['params.json (download it below)'] : []), ...(mine ? [`${mine.name}${mine.blob === mine.file ? '' : ' (download it below)'}`] : [])];
  $('needs').textContent = (needs.length ? `Needs ${needs.join(' and ')} in the working directory. ` : '')
    + (mine ? 'A link cannot hold your picture: it opens with a sample.' : '');
}

const RANGES = { most: 'symmetric', minmax: 'minmax', shared: 'global', absolute: 'clip', possible: 'minmax' };
async function picture(depth) {
  const { depth: bank_depth, ...p } = params(); // depth is the PNG's here
  Object.assign(p, { bank_depth, depth, format: 'png', range: RANGES[state.range] });
  if (depth === 8 && state.cmap !== 'auto') p.colormap = state.cmap;
  try {
    const r = await ask(p);
    save(`maps${depth === 16 ? '-16bit' : ''}.png`, r.data, 'image/png');
  } catch (e) { failed(e, false); }
}

function listen() {
  for (const id of WORDS) $(id).addEventListener('change', () => {
    if (id === 'sample') { mine = null; used(); state.cell = -1; state.sample = $(id).value; if (samples[state.sample].size < 64) state.size = samples[state.sample].size; }
    else if (id === 'bank') choose($(id).value);
    else state[id] = $(id).value;
    sync();
    edit();
  });
  for (const id of NUMBERS) $(id).addEventListener('input', () => {
    const e = $(id);
    if (e.value === '' ? id === 'bias' && !e.validity.badInput : e.validity.valid) state[id] = e.value === '' ? '' : e.valueAsNumber;
    edit();
  });
  for (const id of ['flip', 'norm']) $(id).addEventListener('change', () => { state[id] = $(id).checked; edit(); });
  for (const id of SHOWN) $(id).addEventListener('change', () => {
    state[id] = id === 'other' ? +$(id).value : $(id).value;
    remember();
    if (!result) return;
    maps.draw();
    stepper.show(result, maps.first);
  });
  for (const b of document.querySelectorAll('[data-lang]')) b.addEventListener('click', () => { language = b.dataset.lang; snippet(); });
  for (const b of document.querySelectorAll('[data-try]')) b.addEventListener('click', () => {
    const t = TRY[b.dataset.try];
    mine = null;
    used();
    Object.assign(state, defaults(), { gen: {}, cmap: state.cmap, range: state.range, bank: t.bank });
    choose(t.bank);
    Object.assign(state, { pad: 'pixels' }, t);
    history.pushState(null, '', location.href);
    sync();
    edit();
  });
  listenPictures();
  listenBottom();
  $('controls').addEventListener('submit', e => e.preventDefault());
  $('run').addEventListener('click', () => run());
  $('cancel').addEventListener('click', () => { abort?.abort(); sequence++; busy(false); say('Cancelled.'); $('big').hidden = false; });
  addEventListener('hashchange', restore);
  addEventListener('popstate', restore);
  let wide = innerWidth;
  addEventListener('resize', () => { if (result && wide !== innerWidth) { wide = innerWidth; stepper.show(result, maps.first); } });
  themeButton($('theme'), () => result && stepper.show(result, maps.first));
}

function listenPictures() {
  const files = list => [...(list ?? [])].find(f => f.type.startsWith('image/'));
  $('image').addEventListener('change', () => { const f = $('image').files[0]; if (f) take(f); $('image').value = ''; });
  $('full').addEventListener('click', () => take(mine.file, true));
  for (const type of ['dragover', 'dragleave', 'drop']) addEventListener(type, e => {
    e.preventDefault();
    $('drop').classList.toggle('over', type === 'dragover');
    if (type !== 'drop') return;
    const f = files(e.dataTransfer.files);
    if (f) take(f);
    else if (e.dataTransfer.files.length) complain({ field: 'image', text: 'That is not a picture.' });
  });
  addEventListener('paste', e => { const f = files(e.clipboardData?.files); if (f) { e.preventDefault(); take(f); } });
  $('editor').addEventListener('paste', e => {
    const text = e.clipboardData.getData('text');
    if (/[\s,;]/.test(text.trim())) { e.preventDefault(); useMatrix(text); }
  });
  $('use-matrix').addEventListener('click', () => useMatrix($('matrix').value));
  $('weights').addEventListener('change', async () => {
    const f = $('weights').files[0];
    $('weights').value = '';
    if (f) tryWeights(npyRead, await f.arrayBuffer());
  });
}

function useMatrix(text) {
  tryWeights(t => {
    const rows = matrixRead(t);
    return { shape: [rows.length, rows[0].length], data: Float32Array.from(rows.flat()) };
  }, text);
}

function tryWeights(read, from) {
  try {
    const { shape, data } = read(from), flat = shape.length === 2;
    if (shape.length < 2 || shape.length > 4) throw new Error('Filters have 2, 3 or 4 dimensions: [K, C, F, F].');
    if (!data.length || !data.every(Number.isFinite)) throw new Error('Filters must be finite numbers.');
    state.k = 0;
    useCustom({ shape: [...Array(4 - shape.length).fill(1), ...shape], data, flat });
    say('Using your filters.');
  } catch (e) { complain({ field: 'matrix', text: e.message }); }
}

function listenBottom() {
  $('answer').addEventListener('change', snippet);
  $('copy').addEventListener('click', async () => say(await copyText($('program')) ? 'Copied the program.' : 'Select the text and copy it with the keyboard.'));
  $('link').addEventListener('click', async () => {
    const link = el('span', { textContent: location.href });
    document.body.append(link);
    say(await copyText(link) ? 'Copied the link.' : location.href);
    link.remove();
  });
  $('npy').addEventListener('click', () => result && save('maps.npy', npyWrite(result.v, [1, result.l.K, result.l.OH, result.l.OW])));
  $('png').addEventListener('click', () => picture(8));
  $('png16').addEventListener('click', () => picture(16));
  $('json').addEventListener('click', () => save('params.json', JSON.stringify({ ...(mine ? {} : { image: image() }), ...params() }, null, 1), 'application/json'));
  $('picture').addEventListener('click', () => save(mine.name, mine.blob, 'image/png'));
}

// --- the start ------------------------------------------------------------------------------------------

async function get(path) {
  for (;;) {
    const reply = await fetch(BASE + path).catch(() => null);
    if (reply?.ok) return reply.json();
    say('The server does not answer. Trying again every second…');
    await new Promise(done => setTimeout(done, 1000));
  }
}

function fill(list) {
  const KINDS = { smoothing: 'Pictures: smooth, sharpen', derivative: 'Edges, lines, points', layer: 'Layers' };
  const groups = Object.fromEntries(Object.entries(KINDS).map(([kind, label]) => [kind, el('optgroup', { label })]));
  for (const f of list.filters) {
    const d = f.default, [K, Cb] = f.shape;
    banks[f.id] = { ...f, flat: Cb === 1, depth: d.depth, stride: d.stride, same: d.padding === 'same', padding: +d.padding || 0, names: f.members };
    groups[f.kind].append(new Option(`${f.id}${K > 1 ? ` (${K})` : ''}`, f.id));
  }
  const made = el('optgroup', { label: 'Made from numbers' });
  for (const g of list.generators) {
    generators[g.id] = g.parameters;
    if (g.id === 'random') continue;
    banks[g.id] ??= { ...g, flat: true, depth: g.kind === 'smoothing' ? 'depthwise' : 'luma', same: true };
    made.append(new Option(g.id, g.id));
  }
  made.append(new Option('random', 'random'));
  $('bank').append(...Object.values(groups), made, new Option('yours', 'custom'));
  ids.bank.push(...Object.keys(banks));
}

async function start() {
  for (const [key, [kind, a, b]] of Object.entries(FIELDS))
    if ((kind === 'int' || kind === 'real') && $(key)?.type === 'number') Object.assign($(key), { min: a, max: b, required: key !== 'bias' });
  for (const a of ACTIVATIONS) $('act').add(new Option(a));
  const [filterList, sampleList] = await Promise.all([get('filters'), get('samples')]);
  fill(filterList);
  for (const s of sampleList.samples) {
    samples[s.id] = { ...s, size: s.width };
    ids.sample.push(s.id);
    $('sample').add(new Option(`${s.id}`, s.id));
  }
  listen();
  restore();
}
start();
