// What is chosen becomes a request, the reply pictures. The state is one object, kept in the address.
import { ACTIVATIONS, FIELDS, bytes, defaults, formula, matrixRead, meet, npyRead, paramsOf, plan, program, readLink, spreadKernels, stats, weightsOf, writeLink } from './lib.js';
import { $, Maps, Stepper, copyText, el, themeButton } from './views.js';

const BASE = new URL('.', document.baseURI).href; // also behind a path prefix
const NUMBERS = ['size', 'out_channels', 'kernel_size', 'stride', 'padding', 'dilation', 'groups', 'bias'];
const WORDS = ['sample', 'weights', 'depth', 'pad', 'padding_mode', 'activation'], BOXES = ['flip', 'normalize'];
const VIEWS = ['cmap', 'range', 'other']; // change what is shown, not the request
const AUTO_FLOP = 2e9, AUTO_BYTES = 16 * 2 ** 20, SEND_MOST = 512;
const TRY = {
  textbook: { sample: 'cat', weights: 'learned96', padding: 0, k: 67 }, tiny: { sample: 'tiny', size: 8, weights: 'edges', depth: 'full' },
  edges: { weights: 'kirsch8' }, blur: { weights: 'gaussian5' }, gabor: { weights: 'gabor' },
};

// What the daemon's engines do instead of im2col.
const WAYS = {
  direct: 'reads every window straight from the picture', pointwise: 'needs none: for 1×1 filters the picture is X_col',
  implicit: 'makes 32 columns at a time', swapped: 'takes each pixel of a window straight from the padded picture, to many filters at once',
};
const GONE = 'The server does not answer. Trying again every second…';

const state = defaults(), ids = { sample: [], weights: ['random', 'custom'] };
const banks = {}, samples = {}, generators = {}, kept = {};
let mine = null;   // the reader's own picture
let result = null;
let language = 'curl', sequence = 0, abort, timer, ready = false;

const maps = new Maps(state, picked), stepper = new Stepper(state, picked, light);

function bank() {
  const { weights, gen, custom, out_channels: K, kernel_size: F, groups } = state, b = banks[weights];
  if (weights === 'custom') return { ...custom, depth: 'depthwise' };
  if (weights === 'random') return { shape: [K, inputSize().C / groups, F, F] };
  const of = name => gen[name] ?? generators[weights].find(p => p.name === name)?.default ?? 1;
  return b.shape ? b : { ...b, shape: [of('orientations') * of('frequencies'), 1, of('size'), of('size')] };
}

function inputSize() {
  if (kept.input?.key === inputKey()) return kept.input.value;
  return mine ? { C: 3, H: mine.height, W: mine.width } : { C: samples[state.sample].channels, H: state.size, W: state.size };
}

function layer() {
  const { C, H, W } = inputSize(), s = state;
  return plan({ C, H, W, ...meet(bank(), s.depth, C), own: s.weights === 'custom', S: s.stride, P: s.padding, pad: s.pad, D: s.dilation, mode: s.padding_mode, act: s.activation });
}

function weightParams() {
  const b = bank();
  let own = state.weights === 'custom' && state.custom;
  if (own?.flat && own.shape[0] > 1) { // several 2-D kernels travel as 4-D weights
    const { C } = inputSize(), m = meet(b, state.depth, C);
    own = { shape: [m.K, C / m.groups, m.Fh, m.Fw], groups: m.groups, data: spreadKernels(own.data, m.Fh * m.Fw, m.groups > 1 ? 'depthwise' : state.depth, C) };
  }
  return weightsOf(state, b.flat, generators, own);
}
const params = () => paramsOf(state, weightParams());
const image = () => mine ? { file: mine.name } : { sample: state.sample, size: state.size };
const inputKey = () => mine?.id ?? `${state.sample} ${state.size}`;

// The reply's floats and shape; a problem document is thrown as an error.
async function ask(p, signal, own = mine) {
  let body = JSON.stringify(own ? p : { image: image(), ...p });
  if (own) {
    const form = new FormData();
    form.append('params', body);
    form.append('image', own.blob, own.name);
    body = form;
  }
  const reply = await fetch(BASE + 'convolve', { method: 'POST', body, signal });
  if (!reply.ok) {
    const problem = await reply.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail ?? `The server answers ${reply.status}.`),
      { status: reply.status, pointer: problem.pointer ?? '', wait: +reply.headers.get('Retry-After') || 1 });
  }
  const data = await reply.arrayBuffer(), head = name => reply.headers.get(name);
  return { data, head, v: p.format === 'raw' && new Float32Array(data), shape: head('Convolved-Output-Shape').split(',').map(Number) };
}

async function keep(slot, key, make) { // the last reply of its kind
  if (kept[slot]?.key !== key) kept[slot] = { key, value: await make() };
  return kept[slot].value;
}

// The picture as the server decodes it.
const input = signal => keep('input', inputKey(), async () => {
  const { v, shape: [, C, H, W] } = await ask({ weights: 'identity', what: 'input', format: 'raw' }, signal);
  return { C, H, W, v, top: stats(v).hi > 255 ? 65535 : 255 };
});

// The weights as used, asked for with an empty picture.
const weights = (slot, C, p, signal) => keep(slot, JSON.stringify([C, p]), async () => {
  const side = Math.max(...bank().shape.slice(2)), picture = { shape: [C, side, side], base64: btoa('\0'.repeat(4 * C * side * side)) };
  return (await ask({ image: picture, ...p, stride: 1, padding: 0, what: 'weights', format: 'raw' }, signal, null)).v;
});

// The bank's 2-D kernels, for the editor.
const kernels = signal => bank().flat && state.weights !== 'custom'
  && weights('kernels', 1, weightsOf({ ...state, flip: false, normalize: false, depth: 'full' }, true, generators), signal);

// After every change: check, show shapes, and ask in a moment.
function edit() {
  const bad = document.querySelector('#controls input:invalid:not(:disabled)'), l = layer();
  stop();
  remember();
  setFields(l);
  if (bad) return complain(bad.id, `${bad.labels[0].textContent.trim()}: ${bad.validationMessage}`);
  if (l.error) {
    complain(l.error.field, l.error.text);
    say(`This layer cannot be${ready ? '; below is the last one that could' : ''}.`);
  } else if (2 * l.macs > AUTO_FLOP || l.bytes.output > AUTO_BYTES) {
    $('big').hidden = false;
    $('much').textContent = `${Math.round(2 * l.macs / 1e6)} MFLOP, ${bytes(l.bytes.output)} of maps: too much to run at every change.`;
    say('Press Run.');
  } else ready ? timer = setTimeout(run, 120) : run();
  shapes(l);
  snippet();
}

function stop() {
  clearTimeout(timer);
  abort?.abort();
  sequence++;
  busy(false);
  delete document.body.dataset.shown;
  complain();
  $('big').hidden = true;
}

async function run(again = true) {
  stop();
  const n = sequence, slow = setTimeout(() => { $('slow').hidden = false; }, 300);
  abort = new AbortController();
  const { signal } = abort;
  busy(true);
  if (ready) say('Convolving…');
  try {
    if (mine) await input(signal); // its channels decide about the weights
    const all = await Promise.all([input(signal), weights('weights', inputSize().C, weightParams(), signal), kernels(signal), ask({ ...params(), format: 'raw' }, signal)]);
    if (n === sequence) await show(n, ...all); // else a later edit has overtaken this one
  } catch (e) {
    if (n === sequence) failed(e, again);
  } finally {
    clearTimeout(slow);
    if (n === sequence) busy(false);
  }
}

function failed(e, again) {
  if (e.name === 'AbortError') return;
  if (e.status === 503 && again) {
    say('The server is busy.');
    complain('', `${e.message} Trying again in ${e.wait} s.`);
    timer = setTimeout(run, e.wait * 1000, false);
  } else if (e.status) {
    say(e.status === 413 ? 'Over a limit of the server.' : `The server answers ${e.status}.`);
    const [first, ...path] = e.pointer.split('/').slice(1), made = $('g-' + path.at(-1));
    complain(made ? made.id : { pads: 'padding', auto_pad: 'pad' }[first] ?? first, e.message);
  } else if (e instanceof TypeError && /fetch|network|load/i.test(e.message)) {
    gone();
  } else {
    complain('', e.message);
    throw e;
  }
}

async function gone() {
  const n = sequence;
  say(GONE);
  complain('', GONE);
  while (n === sequence) {
    await wait(1000);
    if (n === sequence && await fetch(BASE + 'livez', { signal: AbortSignal.timeout(2000) }).then(r => r.ok, () => false)) return run();
  }
}

function complain(id, text = '') { // at the field, else above the results
  for (const e of document.querySelectorAll('[aria-invalid]')) e.removeAttribute('aria-invalid');
  const e = id ? $(id) : null;
  $('problem').textContent = text;
  if (!text) return;
  (e?.closest('fieldset') ?? $('results')).prepend($('problem'));
  e?.setAttribute('aria-invalid', true);
  e?.setAttribute('aria-errormessage', 'problem');
}

const wait = ms => new Promise(done => { setTimeout(done, ms); });
const say = text => { $('status').textContent = text; };
function busy(now) {
  $('results').setAttribute('aria-busy', now);
  if (!now) $('slow').hidden = true;
}

async function show(n, i, w, flat, { v, shape: [, K, OH, OW], head }) {
  const l = layer(), b = bank();
  if (l.error || K !== l.K || OH !== l.OH || OW !== l.OW) throw new Error(`The server made ${K}×${OH}×${OW} of it: this page is wrong.`);
  result = { l, input: i.v, top: i.top, w, v, flat, name, bias: state.bias === '' ? (b.bias ?? 0) * i.top : state.bias, flat2d: b.flat, used: +head('Convolved-Workspace-Bytes'), way: head('Convolved-Algorithm') };
  if (state.cell < 0 || state.cell >= l.cols) state.cell = (l.OH >> 1) * l.OW + (l.OW >> 1);
  state.k = Math.min(state.k, K - 1);
  if (state.other >= K) state.other = -1;
  ready = true;
  for (const e of document.querySelectorAll('section')) e.hidden = false;
  shapes(l);
  maps.show(result);
  await wait(20); // it is seen
  maps.list();
  step();
  editor();
  snippet();
  if (n !== sequence) return;
  const ms = part => +(+RegExp(part + ';dur=([\\d.]+)').exec(head('Server-Timing'))[1]).toPrecision(3);
  say(`${K} map${K > 1 ? 's' : ''} of ${OW}×${OH}: convolved in ${ms('convolve')} ms (waited ${ms('queue')}, decoded in ${ms('decode')}).`);
  document.body.dataset.shown = n; // for tests
}

function shapes(l) {
  $('shapes').hidden = !!l.error;
  if (l.error) return;
  const { C, H, W, K, Fh, Fw, S, D, OH, OW, Cg, R, rows, cols, groups, pads: [top, left, bottom, right], bytes: b } = l;
  const across = formula(W, Fw, left, right, S, D, OW), down = formula(H, Fh, top, bottom, S, D, OH);
  const lost = l.unused.map((n, i) => n && `${n} ${i ? 'column' : 'row'}${n > 1 ? 's' : ''}`).filter(Boolean).join(' and ');
  $('formula').textContent = `(W − F + 2P) / S + 1 = ${across}${across === down ? '' : ` across, ${down} down`}${lost && `. No window reaches the last ${lost} of the padded input.`}`;
  const box = (id, a, b, dims, ...why) => el('div', { className: id }, el('b', {}, a, el('sub', {}, b)), el('span', {}, dims), ...why.map(t => el('small', {}, t)));
  $('product').replaceChildren(
    box('c', 'W', 'row', `${K} × ${R}`, `rows: ${K} filter${K > 1 ? 's' : ''}`, `columns: ${Cg}·${Fh}·${Fw} = ${R} weights`, groups > 1 ? `${groups} groups: each meets ${R} rows of X_col` : ''), '·',
    box('b', 'X', 'col', `${rows} × ${cols}`, `rows: channels·F·F = ${C}·${Fh}·${Fw} = ${rows}`, `columns: ${OH}·${OW} = ${cols} windows`), '=',
    box('d', 'Maps', '', `${K} × ${cols}`, `${OH}×${OW}×${K}: each row is a map`, `2·${K}·${R}·${cols} = ${+(2e-6 * l.macs).toPrecision(4)} MFLOP`));
  const known = result && ['macs', 'rows', 'cols'].every(k => result.l[k] === l[k]) && result.used;
  const bar = part => { const e = el('div'); e.style.width = `${100 * part}%`; return e; };
  const items = [['a', 'Input', b.input], ['b', 'X_col', b.x_col, `×${(b.x_col / b.input).toFixed(1)} the input`], ['c', 'W_row', b.weights], ['d', 'Maps', b.output], ...(known ? [['hot', 'Used here', known, 'instead of X_col']] : [])];
  const max = Math.max(...items.map(i => i[2]));
  $('cost').replaceChildren(...items.flatMap(([className, name, value, note]) => [el('dt', {}, name), el('dd', { className }, bar(value / max)), el('dd', {}, bytes(value) + (note ? ` (${note})` : ''))]));
  $('verdict').textContent = `im2col copies a pixel into up to ${Math.ceil(Fh / S) * Math.ceil(Fw / S)} columns: ${bytes(b.x_col)} of X_col.`
    + (known ? ` This daemon did without: its engine “${result.way}” ${WAYS[result.way]}, in ${bytes(known)}.` : '');
}

const HUES = ['red', 'green', 'blue'];
function name(k) {
  const b = bank(), [K] = b.shape, { C } = inputSize(), q = k % K, { weights: id, gen } = state;
  const channel = K < result.l.K && C > 2 ? HUES[Math.floor(k / K)] ?? 'alpha' : '', o = id === 'gabor' && K / (gen.frequencies ?? 1);
  return [o ? `${+(180 * (q % o) / o).toFixed(1)}°${o < K ? ` wave ${Math.floor(q / o) + 1}` : ''}` : b.members?.[q] ?? (K > 1 ? '' : id === 'custom' ? 'yours' : id), channel].join(' ').trim();
}

// The bank's own filters as [K][Cb][Fh][Fw].
function ownFilters() {
  const b = bank();
  return state.weights === 'custom' ? state.custom : { shape: b.shape, data: b.flat ? result.flat : result.w, flat: b.flat };
}

let cells = [], channel = 0;
function editor() {
  const own = ownFilters(), [K, Cb, Fh, Fw] = own.shape, k = state.k % K, n = Fh * Fw;
  channel = Math.min(channel, Cb - 1);
  const from = (k * Cb + channel) * n, text = i => { const x = own.data[from + i]; return +x.toPrecision(Math.abs(x) < .1 ? 2 : 3); };
  if (cells.key === own.shape + ' ' + from) return cells.forEach((e, i) => { if (e !== document.activeElement) e.value = text(i); });
  cells = Array.from({ length: n }, (_, i) => {
    const e = el('input', { type: 'number', step: 'any', value: text(i), 'aria-label': `row ${Math.floor(i / Fw) + 1}, column ${i % Fw + 1}` });
    e.oninput = () => {
      const now = ownFilters(), data = now.data.slice();
      if (!Number.isFinite(e.valueAsNumber)) return;
      data[from + i] = e.valueAsNumber;
      useCustom({ shape: now.shape, data, flat: now.flat });
    };
    return e;
  });
  cells.key = own.shape + ' ' + from;
  const pick = el('select', { 'aria-label': 'Channel of the filter' }, ...Array.from({ length: Cb }, (_, c) => new Option(Cb === 3 ? HUES[c] : `channel ${c}`, c)));
  pick.value = channel;
  pick.onchange = () => { channel = +pick.value; editor(); };
  $('editor').replaceChildren(el('div', { className: 'bar' }, `Filter ${k}`, ...(Cb > 1 ? [pick] : [])), el('table', { 'aria-label': `Weights of filter ${k}` }, el('tbody', {},
    ...Array.from({ length: Fh }, (_, y) => el('tr', {}, ...cells.slice(y * Fw, (y + 1) * Fw).map(e => el('td', {}, e)))))));
}

function light(i) {
  cells.forEach((e, j) => e.classList.toggle('hot', i >= 0 && i % cells.length === j));
}

// Own filters meet the channels as the bank did; what was folded in is not folded again.
function useCustom(custom) {
  if (state.weights !== 'custom' && state.depth === 'auto' && custom.flat) state.depth = bank().depth ?? 'auto';
  if (!custom.flat) Object.assign(state, { flip: false, normalize: false });
  Object.assign(state, { custom, weights: 'custom' });
  sync();
  edit();
}

function choose(id) { // a bank brings its own stride and padding
  const { stride = 1, padding } = banks[id]?.default ?? {};
  Object.assign(state, { weights: id, gen: {}, depth: 'auto', flip: false, normalize: false, k: 0, stride });
  state.pad = padding === undefined || padding === 'same' ? 'same' : 'pixels';
  if (state.pad === 'pixels') state.padding = padding;
  if (padding === 'same' && stride === 1 && bank().shape[2] % 2) Object.assign(state, { pad: 'pixels', padding: bank().shape[2] >> 1 });
}

function generatorFields() {
  $('generator').replaceChildren(...(generators[state.weights] ?? []).map(p => {
    const value = state.gen[p.name] ?? p.default ?? '', id = 'g-' + p.name, word = p.type === 'string';
    const e = word ? el('select', { id }, new Option('he'), new Option('xavier'))
      : el('input', { id, type: 'number', min: p.min, max: p.max, step: p.type === 'integer' ? 1 : 'any' });
    e.value = value;
    e.oninput = () => {
      if (e.value === '') delete state.gen[p.name];
      else if (e.validity.valid) state.gen[p.name] = word ? e.value : e.valueAsNumber;
      edit();
    };
    return el('label', { title: p.help }, p.name, e);
  }));
}

function sync() {
  for (const id of [...NUMBERS, ...WORDS, ...VIEWS]) $(id).value = state[id];
  for (const id of BOXES) $(id).checked = state[id];
  if (mine) $('sample').value = '';
  $('yours').hidden = !state.custom;
  $('help').textContent = banks[state.weights]?.help ?? '';
  $('used').hidden = !mine;
  $('picture').hidden = !mine;
  generatorFields();
}

function setFields(l) { // what the bank decides is shown, not edited
  const random = state.weights === 'random', b = bank();
  for (const [id, value] of [['out_channels', l.K], ['kernel_size', b.shape[3]], ['groups', l.groups]]) {
    $(id).disabled = !random;
    if (!random) $(id).value = value;
  }
  $('depth').disabled = !b.flat;
  $('padding').disabled = state.pad !== 'pixels';
  $('size').disabled = !!mine;
}

function remember() {
  const link = writeLink(mine ? { ...state, sample: 'cat' } : state);
  if (location.hash.slice(1) !== link) history.replaceState(null, '', '#' + link);
}

function picked(k = state.k, cell = state.cell) {
  const other = k !== state.k;
  Object.assign(state, { k, cell });
  remember();
  if (!result) return;
  if (other) { maps.large(); maps.mark(); editor(); } else maps.cells();
  step();
}

const step = () => stepper.show(result, maps.first, maps.view(state.k));

function restore() { // the address: first load, Back, a link
  Object.assign(state, location.hash ? readLink(location.hash, ids, generators) : { ...defaults(), ...TRY.textbook });
  sync();
  edit();
}

async function take(file, full) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return complain('image', `This browser cannot read ${file.name} as a picture.`);
  const { width: w, height: h } = bitmap, scale = full ? 1 : Math.min(1, SEND_MOST / Math.max(w, h));
  const width = Math.max(1, Math.round(w * scale)), height = Math.max(1, Math.round(h * scale));
  mine = { id: Symbol(), file, blob: file, name: file.name, width, height };
  const foreign = !/^image\/(png|jpeg|bmp)$/.test(file.type), less = scale < 1;
  if (less || foreign) { // the browser makes a PNG of it
    const c = new OffscreenCanvas(width, height);
    c.getContext('2d').drawImage(bitmap, 0, 0, width, height);
    mine.blob = await c.convertToBlob();
    mine.name = file.name.replace(/\.\w*$/, '') + (less ? `-${width}x${height}.png` : '.png');
  }
  $('using').textContent = `Using ${width}×${height}${less ? ` of ${w}×${h}` : ''}, ${file.name}.${foreign ? ' The server does not read this format: your browser made a PNG of it.' : ''}`;
  $('full').hidden = !less;
  state.cell = -1;
  sync();
  edit();
}

function snippet() {
  const { text, long } = program(language, BASE, image(), params(), $('answer').value);
  for (const b of document.querySelectorAll('[data-lang]')) b.setAttribute('aria-pressed', b.dataset.lang === language);
  $('program').textContent = text;
  const needs = [long && 'params.json', mine?.name].filter(Boolean).join(' and ');
  $('needs').textContent = needs && `Needs ${needs} beside it: see Download.${mine ? ' A link cannot hold your picture: it opens with a sample.' : ''}`;
}

function save(name, data) {
  const a = el('a', { href: URL.createObjectURL(new Blob([data])), download: name });
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 1e4);
}

async function download(name, more) {
  const { depth: bank_depth, ...p } = params(); // depth is the PNG's here
  try { save(name, (await ask({ ...p, bank_depth, ...more })).data); } catch (e) { failed(e); }
}
const png = depth => download(`maps-${depth}bit.png`, { format: 'png', depth, range: state.range === 'possible' ? 'minmax' : state.range,
  ...(depth === 8 && state.cmap !== 'auto' && { colormap: state.cmap }) });

function useFilters(read, from) {
  try {
    const { shape, data } = read(from);
    if (shape.length < 2 || shape.length > 4 || !data.length || !data.every(Number.isFinite)) throw new Error('Filters are finite numbers of 2, 3 or 4 dimensions: [K, C, F, F].');
    state.k = 0;
    useCustom({ shape: [1, 1, ...shape].slice(-4), data, flat: shape.length === 2 });
  } catch (e) { complain('matrix', e.message); }
}
const useMatrix = text => useFilters(t => { const rows = matrixRead(t); return { shape: [rows.length, rows[0].length], data: Float32Array.from(rows.flat()) }; }, text);

function listen() {
  for (const id of WORDS) $(id).onchange = () => {
    state[id] = $(id).value;
    if (id === 'weights') choose(state.weights);
    if (id === 'sample') {
      mine = null;
      Object.assign(state, { cell: -1, size: samples[state.sample].height < 64 ? samples[state.sample].height : state.size });
    }
    sync();
    edit();
  };
  for (const id of NUMBERS) $(id).oninput = () => {
    const e = $(id);
    if (e.validity.valid) state[id] = e.value === '' ? '' : e.valueAsNumber;
    edit();
  };
  for (const id of BOXES) $(id).onchange = () => { state[id] = $(id).checked; edit(); };
  for (const id of VIEWS) $(id).onchange = () => {
    state[id] = id === 'other' ? +$(id).value : $(id).value;
    if (result) maps.draw();
    picked();
  };
  for (const b of document.querySelectorAll('[data-lang]')) b.onclick = () => { language = b.dataset.lang; snippet(); };
  for (const b of document.querySelectorAll('[data-try]')) b.onclick = () => {
    const { cmap, range } = state, t = TRY[b.dataset.try];
    history.pushState(null, '', location.href);
    if (t.sample) mine = null; // else it stays
    Object.assign(state, defaults(), { cmap, range });
    choose(t.weights);
    Object.assign(state, t);
    sync();
    edit();
  };
  $('controls').onsubmit = e => e.preventDefault();
  $('run').onclick = () => run();
  $('cancel').onclick = () => { stop(); say('Cancelled.'); $('big').hidden = false; $('much').textContent = ''; };
  listenFiles();
  const again = () => result && step();
  addEventListener('popstate', restore);
  addEventListener('resize', again);
  themeButton(again);
}

function listenFiles() {
  const first = list => [...list ?? []].find(f => f.type.startsWith('image/')), own = (id, f) => { $(id).onchange = () => { if ($(id).files[0]) f($(id).files[0]); $(id).value = ''; }; };
  own('image', f => take(f));
  own('npz', async f => useFilters(npyRead, await f.arrayBuffer()));
  $('full').onclick = () => take(mine.file, true);
  for (const type of ['dragover', 'dragleave', 'drop']) addEventListener(type, e => {
    e.preventDefault();
    $('drop').classList.toggle('over', type === 'dragover');
    if (type !== 'drop' || !e.dataTransfer.files.length) return;
    first(e.dataTransfer.files) ? take(first(e.dataTransfer.files)) : complain('image', 'That is no picture.');
  });
  addEventListener('paste', e => { if (first(e.clipboardData.files)) take(first(e.clipboardData.files)); });
  $('editor').addEventListener('paste', e => {
    const text = e.clipboardData.getData('text').trim();
    if (/[\s,;]/.test(text)) { e.preventDefault(); useMatrix(text); }
  });
  $('use-matrix').onclick = () => useMatrix($('matrix').value);
  $('answer').onchange = snippet;
  $('copy').onclick = async () => say(await copyText($('program')) ? 'Copied the program.' : 'Select the text and copy it with the keyboard.');
  $('link').onclick = async () => { $('needs').textContent = location.href; say(await copyText($('needs')) ? 'Copied the link.' : 'The link is below.'); };
  $('npy').onclick = () => download('maps.npy', { format: 'npy' });
  $('png').onclick = () => png(8);
  $('png16').onclick = () => png(16);
  $('json').onclick = () => save('params.json', JSON.stringify({ ...(mine ? {} : { image: image() }), ...params() }, null, 1));
  $('picture').onclick = () => save(mine.name, mine.blob);
}

async function get(path) {
  for (;; await wait(1000)) {
    const reply = await fetch(BASE + path).catch(() => null);
    if (reply?.ok) return reply.json();
    say(GONE);
  }
}

function fill({ filters, generators: made }, list) {
  for (const g of made) generators[g.id] = g.parameters;
  for (const f of [...filters, ...made]) {
    banks[f.id] ??= { flat: f.id !== 'random' && (f.shape?.[1] ?? 1) === 1, depth: f.kind === 'smoothing' ? 'depthwise' : 'luma', ...f };
    const group = $(generators[f.id] ? 'made' : f.kind);
    if (!ids.weights.includes(f.id) || f.id === 'random') group.append(new Option(f.shape?.[0] > 1 ? `${f.id} (${f.shape[0]})` : f.id, f.id));
    ids.weights.push(f.id);
  }
  for (const s of list.samples) {
    samples[s.id] = s;
    ids.sample.push(s.id);
    $('sample').add(new Option(s.id));
  }
}

async function start() {
  for (const id of NUMBERS) [$(id).min, $(id).max] = FIELDS[id];
  for (const a of ACTIVATIONS) $('activation').add(new Option(a));
  fill(...await Promise.all([get('filters'), get('samples')]));
  restore();
  listen();
}
start();
