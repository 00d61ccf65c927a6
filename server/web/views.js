// The views on a reply: its maps, and one output step by step.
import { LUT, activate, bright, clamp, colour, copies, css, dot, equal, fmt, paint, place, possible, range, source, spread, stats, windowAt, xcol } from './lib.js';

export const $ = id => document.getElementById(id);

export function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(props)) k in e ? e[k] = v : e.setAttribute(k, v);
  e.append(...children);
  return e;
}

export async function copyText(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
    return true;
  } catch { // plain http in a LAN is no secure context: select it, and the old command
    getSelection().selectAllChildren(node);
    return document.execCommand('copy');
  }
}

export function themeButton(changed = () => {}) {
  const { style } = document.documentElement, media = matchMedia('(prefers-color-scheme: dark)');
  const dark = () => style.colorScheme ? style.colorScheme === 'dark' : media.matches;
  const show = () => { $('theme').setAttribute('aria-pressed', dark()); changed(); };
  try { style.colorScheme = localStorage.theme ?? ''; } catch { /* storage is off */ }
  $('theme').onclick = () => {
    style.colorScheme = dark() ? 'light' : 'dark';
    try { localStorage.theme = style.colorScheme; } catch { /* storage is off */ }
    show();
  };
  media.onchange = show;
  show();
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const dpr = () => Math.min(2, devicePixelRatio || 1);
const label = (id, text) => $(id).setAttribute('aria-label', text);
const on = (id, type, f) => $(id).addEventListener(type, f);
const ink = id => getComputedStyle($('ink-' + id)).color;

function sized(canvas, w, h) {
  canvas.width = w;
  canvas.height = h;
  const g = canvas.getContext('2d');
  g.imageSmoothingEnabled = false;
  return g;
}

function filled(c, w, h, at) {
  const img = new ImageData(c.width, c.height);
  paint(new Uint32Array(img.data.buffer), w, h, c.width, c.height, at);
  c.getContext('2d').putImageData(img, 0, 0);
  return c;
}
const sheet = (w, h, at, most = w + h) => filled(new OffscreenCanvas(Math.min(w, most), Math.min(h, most)), w, h, at); // that drawImage can scale

function frame(g, x, y, w, h, colour = '#fff', width = 2) {
  const rim = colour === '#fff' ? '#000' : getComputedStyle(document.body).backgroundColor;
  for (const [style, wide] of [[rim, 2], [colour, 1]]) { // shows on any colour
    g.lineWidth = width * wide;
    g.strokeStyle = style;
    g.strokeRect(x, y, w, h);
  }
}

// Numbers in w x h cells of s x t pixels: at(x, y) gives those of a cell and its colour.
function numbers(g, w, h, s, t, size, at) {
  g.font = `${size}px ui-monospace, monospace`;
  g.textAlign = 'center';
  g.textBaseline = 'middle';
  for (let i = 0; i < w * h; i++) {
    const x = i % w, y = Math.floor(i / w), [lines, u] = at(x, y);
    g.fillStyle = bright(u) ? '#000' : '#fff';
    lines.forEach((v, q) => g.fillText(fmt(v), (x + .5) * s, (y + .5) * t + (q - (lines.length - 1) / 2) * size * 1.1, s - 1));
  }
}

// Which of w x h cells an event happened in.
function cellAt(e, w, h) {
  const box = e.currentTarget.getBoundingClientRect();
  return [clamp(Math.floor((e.clientX - box.left) * w / box.width), w), clamp(Math.floor((e.clientY - box.top) * h / box.height), h)];
}

const VIEW = 464, MOST = 256, THUMB = 160;
const ZOOMS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

export class Maps {
  // picked(k, cell) when the reader chooses; either may be undefined.
  constructor(state, picked) {
    Object.assign(this, { state, picked, x0: 0, y0: 0 });
    this.listen();
  }

  // r: layer l, input, weights w [K][R], maps v [K][OH][OW], name(k), bias, top.
  show(r) {
    Object.assign(this, { r, n: r.l.cols, seen: [], all: null });
    this.large();
  }

  list() {
    const { r } = this, { l } = r, shown = Math.min(l.K, MOST), scale = Math.min(1, THUMB / Math.max(l.OW, l.OH));
    $('other').replaceChildren(new Option('nothing', -1), ...Array.from({ length: shown }, (_, k) => new Option(`${k} ${r.name(k)}`, k)));
    $('maps').classList.toggle('many', l.K > 24);
    $('maps').replaceChildren(...Array.from({ length: shown }, (_, k) => el('div', { role: 'option', title: r.name(k) },
      el('canvas', { width: Math.ceil(l.OW * scale), height: Math.ceil(l.OH * scale) }), el('span', {}, l.K > 24 ? k : `${k} ${r.name(k)}`))));
    $('more').textContent = shown < l.K ? `The first ${shown} of ${l.K} maps; the npy download has all.` : '';
    this.small();
  }

  about(k) {
    const { l, v, w, bias, top } = this.r, from = k * this.n;
    return this.seen[k] ??= { own: stats(v, from, from + this.n), most: spread(v, from, l), can: possible(w.subarray(k * l.R, (k + 1) * l.R), bias, l.act, top), top };
  }

  // Range and colours of map k.
  view(k) {
    const { range: kind, cmap } = this.state;
    if (kind === 'global' && !this.all) {
      const all = Array.from({ length: this.r.l.K }, (_, i) => this.about(i).most);
      this.all = { lo: Math.min(...all.map(a => a.lo)), hi: Math.max(...all.map(a => a.hi)) };
    }
    const rng = range(kind, { ...this.about(k), all: this.all });
    return [rng, LUT[cmap === 'auto' ? (rng[0] < 0 ? 'rdbu' : 'gray') : cmap]];
  }

  draw() {
    this.small();
    this.large();
  }

  at(k, view) {
    const { l, v } = this.r, from = k * this.n;
    return (x, y) => colour(v[from + y * l.OW + x], ...view);
  }

  small() {
    const { l } = this.r;
    [...$('maps').children].forEach((option, k) => {
      const c = option.firstChild, { own } = this.about(k);
      filled(c, l.OW, l.OH, this.at(k, this.view(k)));
      option.setAttribute('aria-label', `Map ${k} ${this.r.name(k)}, ${fmt(own.lo)} to ${fmt(own.hi)}`);
    });
    this.mark();
  }

  mark() { // the chosen one in the list
    const { k, other } = this.state, list = $('maps'), shown = list.children[k];
    [...list.children].forEach((o, q) => { o.setAttribute('aria-selected', q === k); o.tabIndex = q === k ? 0 : -1; });
    if (shown && Math.abs(shown.offsetTop - list.scrollTop - 150) > 150) list.scrollTop = shown.offsetTop - 150;
    $('other').value = other;
  }

  large() {
    const { l, w, name } = this.r, { k, other } = this.state, view = this.view(k);
    this.first = sheet(l.OW, l.OH, this.at(k, view));
    this.second = other >= 0 && sheet(l.OW, l.OH, this.at(other, view));
    this.filter(w.subarray(k * l.R, (k + 1) * l.R), l);
    $('filter-c').textContent = `Filter ${k}: ${l.Cg}×${l.Fh}×${l.Fw} ${name(k)}`;
    label('filter', `Filter ${k}`);
    $('map-c').textContent = `Map ${k}: ${l.OW}×${l.OH}, mean ${fmt(this.about(k).own.mean)}`;
    $('map2-f').hidden = other < 0;
    $('map2-c').textContent = `Map ${other}, same range`;
    label('map2', $('map2-c').textContent);
    this.legend(...view);
    this.cells();
  }

  // Blue, white, red; of three channels, the colours it looks for; a 2-D kernel once.
  filter(w, { Cg, Fh, Fw }) {
    const n = Fh * Fw, { flat2d } = this.r, most = Math.max(...w.subarray(0, flat2d ? n : w.length).map(Math.abs)) || 1, rgb = Cg === 3 && !flat2d, tiles = rgb || flat2d ? 1 : Math.min(Cg, 8), s = Math.max(1, Math.floor(160 / Fw / tiles));
    const level = x => Math.round(127.5 + 127.5 * x / most);
    sized($('filter'), Fw * tiles * s, Fh * s).drawImage(sheet(Fw * tiles, Fh, (x, y) => {
      const i = y * Fw + x % Fw, u = c => level(w[c * n + i]);
      return rgb ? (255 << 24 | u(2) << 16 | u(1) << 8 | u(0)) >>> 0 : LUT.rdbu[u(Math.floor(x / Fw))];
    }), 0, 0, Fw * tiles * s, Fh * s);
  }

  legend(rng, lut) {
    const [lo, hi] = rng, { own } = this.about(this.state.k), g = $('bar').getContext('2d');
    let out = 0;
    for (let i = 0, from = this.state.k * this.n; i < this.n; i++) out += this.r.v[from + i] < lo || this.r.v[from + i] > hi;
    for (let x = 0; x < 256; x++) { g.fillStyle = css(lut[x]); g.fillRect(x, 0, 1, 12); }
    label('bar', `Colours from ${fmt(lo)} to ${fmt(hi)}`);
    $('lo').textContent = fmt(lo);
    $('mid').textContent = lo < 0 && hi > 0 ? '0' : '';
    $('hi').textContent = fmt(hi);
    $('clip').textContent = `min ${fmt(own.lo)}, max ${fmt(own.hi)}; ${out ? +(100 * out / this.n).toPrecision(2) + ' % clipped' : 'nothing clipped'}`
      + (own.bad ? `; ${own.bad} NaN or infinite (magenta)` : '');
  }

  // An integer scale and the part of the map that is seen, the chosen cell in it.
  cells() {
    const { l } = this.r, { cell, zoom, k, other } = this.state, fit = VIEW / Math.max(l.OW, l.OH);
    const z = this.z = zoom || (fit < 1 ? fit : Math.min(64, Math.floor(fit)));
    const seen = n => Math.min(n, Math.ceil(VIEW / z)), keep = (at, size, n, old) => {
      const rim = Math.min(2, size >> 2);
      return Math.max(0, Math.min(n - size, at < old + rim || at >= old + size - rim ? at - (size >> 1) : old));
    };
    this.w = seen(l.OW);
    this.h = seen(l.OH);
    this.x0 = keep(cell % l.OW, this.w, l.OW, this.x0);
    this.y0 = keep(Math.floor(cell / l.OW), this.h, l.OH, this.y0);
    this.cellsOf($('map'), this.first, k);
    if (this.second) this.cellsOf($('map2'), this.second, other);
    $('zoom').textContent = zoom ? `${z}×` : 'fit';
    this.probe(cell % l.OW, Math.floor(cell / l.OW));
    label('map', `Map ${k}, ${$('probe').textContent}; arrow keys move, plus and minus zoom`);
  }

  cellsOf(canvas, pic, k) {
    const { l, v } = this.r, { z, w, h, x0, y0 } = this, view = this.view(this.state.k), g = sized(canvas, Math.ceil(w * z), Math.ceil(h * z));
    g.drawImage(pic, x0, y0, w, h, 0, 0, w * z, h * z);
    if (z >= 40) numbers(g, w, h, z, z, 11, (x, y) => {
      const u = v[k * this.n + (y0 + y) * l.OW + x0 + x];
      return [[u], colour(u, ...view)];
    });
    const { cell } = this.state, side = Math.max(z, 5) + 1;
    frame(g, (cell % l.OW - x0) * z - 1, (Math.floor(cell / l.OW) - y0) * z - 1, side, side);
  }

  probe(x, y) {
    const { k, other } = this.state, say = q => `map ${q} (x ${x}, y ${y}) = ${fmt(this.r.v[q * this.n + y * this.r.l.OW + x])}`;
    $('probe').textContent = say(k) + (other >= 0 ? `, ${say(other)}` : '');
  }

  listen() {
    const under = e => { const [x, y] = cellAt(e, this.w, this.h); return [this.x0 + x, this.y0 + y]; };
    for (const id of ['map', 'map2']) {
      on(id, 'pointermove', e => this.r && this.probe(...under(e)));
      on(id, 'pointerdown', e => { if (this.r) { const [x, y] = under(e); this.picked(undefined, y * this.r.l.OW + x); } });
    }
    on('map', 'keydown', e => {
      const move = ARROWS[e.key], zoom = { '+': 1, '=': 1, '-': -1 }[e.key];
      if (!this.r || e.ctrlKey || e.metaKey || !(move || zoom)) return;
      e.preventDefault();
      if (zoom) return this.zoom(zoom);
      const { OW, OH } = this.r.l, { cell } = this.state, step = e.shiftKey ? 10 : 1;
      this.picked(undefined, clamp(Math.floor(cell / OW) + move[1] * step, OH) * OW + clamp(cell % OW + move[0] * step, OW));
    });
    on('in', 'click', () => this.zoom(1));
    on('out', 'click', () => this.zoom(-1));
    const all = $('maps').children;
    on('maps', 'click', e => { const o = e.target.closest('[role=option]'); if (o) this.picked([...all].indexOf(o)); });
    on('maps', 'keydown', e => {
      const row = [...all].filter(o => o.offsetTop === all[0].offsetTop).length, [x, y] = ARROWS[e.key] ?? [];
      if (x === undefined) return;
      e.preventDefault();
      this.picked(clamp(this.state.k + x + y * row, all.length));
      all[this.state.k].focus();
    });
  }

  zoom(step) { // below what fits, all of it
    if (!this.r) return;
    const next = step > 0 ? ZOOMS.find(s => s > this.z) : ZOOMS.findLast(s => s < this.z);
    this.state.zoom = next && (step > 0 || next * Math.max(this.r.l.OW, this.r.l.OH) > VIEW) ? next : step > 0 ? this.state.zoom : 0;
    this.cells();
    this.picked();
  }
}

const FINE = 512, GUTTER = 36; // most rows and columns that are drawn; left of the strips

export class Stepper {
  // picked(k, cell) when the reader moves; light(i) lights a cell of the filter, none for -1.
  constructor(state, picked, light) {
    Object.assign(this, { state, picked, light });
    this.listen();
  }

  // r as for Maps; map: the large map's picture; view: its range and colours.
  show(r, map, view) {
    const fresh = this.r !== r, { l } = r;
    Object.assign(this, { r, map, view });
    if (fresh) {
      this.hot = -1;
      this.pixel = null;
      const hi = stats(r.input).hi;
      this.white = hi < 32 ? hi || 1 : r.top; // pictures of small numbers, to read, are shown bright
      this.pictures();
      $('cell').max = l.cols - 1;
      $('close').parentElement.hidden = l.rows > 48;
      $('close').checked = l.rows <= 48 && l.W <= 16;
    }
    this.draw();
  }

  // The group of filter k, and the first row of X_col that it meets.
  get group() { return Math.floor(this.state.k * this.r.l.groups / this.r.l.K); }
  get first() { return this.group * this.r.l.R; }
  grey(x) { return LUT.gray[clamp(Math.round(255 * x / this.white), 256)]; }

  // What stays while one steps.
  pictures() {
    const { l, input, w } = this.r, [top, left, bottom, right] = l.pads;
    this.pw = l.W + left + right;
    this.ph = l.H + top + bottom;
    const { lo, hi } = stats(w), most = Math.min(Math.max(-lo, hi), 3 * Math.sqrt(w.reduce((sum, x) => sum + x * x, 0) / w.length)) || 1;
    this.range = [-most, most];
    this.base = sheet(this.pw, this.ph, (x, y) => this.rgb(x, y), FINE);
    this.columns = sheet(l.cols, l.rows, (q, r) => this.grey(xcol(l, input, r, q)), FINE);
    this.rows = sheet(l.R, l.K, (r, k) => colour(w[k * l.R + r], this.range, LUT.rdbu), FINE);
  }

  // Up to three channels of a padded pixel; null in zero padding.
  pixelOf(px, py) {
    const { l, input } = this.r, y = source(l.mode, py - l.pads[0], l.H), x = source(l.mode, px - l.pads[1], l.W);
    return y < 0 || x < 0 ? null : Array.from({ length: Math.min(3, l.C) }, (_, c) => input[(c * l.H + y) * l.W + x]);
  }

  rgb(px, py) {
    const p = this.pixelOf(px, py), u = c => this.grey(p[c] ?? p[0]) & 255;
    return p ? (255 << 24 | u(2) << 16 | u(1) << 8 | u(0)) >>> 0 : (px + py) % 2 ? 0xff707070 : 0xff808080;
  }

  go(cell, k = this.state.k) { this.picked(clamp(k, this.r.l.K), clamp(cell, this.r.l.cols)); }

  draw() {
    const { l, input, w } = this.r, { k, cell } = this.state;
    this.says = this.r.v[k * l.cols + cell];
    if (this.says === undefined) return; // another layer's
    this.x = Float32Array.from({ length: l.R }, (_, r) => xcol(l, input, this.first + r, cell));
    this.w = w.subarray(k * l.R, (k + 1) * l.R);
    this.oy = Math.floor(cell / l.OW);
    this.ox = cell % l.OW;
    this.big = $('close').checked;
    this.ink = Object.fromEntries(['a', 'b', 'c', 'd', 'hot'].map(n => [n, ink(n)]));
    $('step').classList.toggle('close', this.big);
    $('cell').value = cell;
    $('cell-o').textContent = `${cell} of ${l.cols - 1}: output y ${this.oy}, x ${this.ox}`;
    this.copied = this.pixel ?? place(l, this.first + (this.hot < 0 ? (l.Fh >> 1) * l.Fw + (l.Fw >> 1) : this.hot), cell);
    this.copies = $('show-copies').checked && this.copied.y >= 0 && this.copied.x >= 0 ? copies(l, this.copied.c, this.copied.y, this.copied.x) : [];
    this.drawA();
    this.big ? this.drawClose() : this.drawB();
    this.drawC();
    this.drawD();
    this.drawDot();
    this.say();
    this.light(this.hot);
  }

  // The canvas as wide as it is shown: its context and a cell's size.
  fit(id, w, h, most) {
    const wide = Math.round($(id).parentElement.clientWidth * dpr()), s = wide / w, t = Math.min(most ?? s, wide * 1.25 / h), g = sized($(id), wide, Math.ceil(h * t));
    g.imageSmoothingEnabled = s < 1;
    return [g, s, t];
  }

  name(id, title, text) {
    $(id + '-c').textContent = text;
    label(id, `${title} ${text}; arrow keys move`);
  }

  drawA() {
    const { l } = this.r, [g, s, t] = this.fit('a', this.pw, this.ph), d = dpr();
    g.drawImage(this.base, 0, 0, this.pw * s, this.ph * t);
    if (this.big && s > 20 * d) numbers(g, this.pw, this.ph, s, t, Math.min(10.5 * d, t / 3.4), (x, y) => [this.pixelOf(x, y) ?? [0], this.rgb(x, y)]);
    const y0 = this.oy * l.S, x0 = this.ox * l.S, spot = (px, py) => frame(g, px * s, py * t, Math.max(s, 4), Math.max(t, 4), this.ink.hot, 2 * d);
    frame(g, x0 * s, y0 * t, l.reachW * s, l.reachH * t, this.ink.a, 2 * d);
    if (this.hot >= 0) { const p = place(l, this.first + this.hot, this.state.cell); spot(p.px, p.py); }
    else if (this.copies.length) spot(this.copied.x + l.pads[1], this.copied.y + l.pads[0]);
    const span = (from, reach) => `${from}…${from + reach - 1}`;
    this.name('a', `Padded input ${this.pw}×${this.ph}: window`, `rows ${span(y0 - l.pads[0], l.reachH)}, columns ${span(x0 - l.pads[1], l.reachW)}`);
  }

  drawB() {
    const { l } = this.r, [g, side] = this.fit('b', 1, 1), s = side / l.cols, t = side / l.rows, d = dpr();
    g.drawImage(this.columns, 0, 0, side, side);
    if (l.groups > 1) { // other groups' rows
      g.fillStyle = 'rgb(128 128 128 / .65)';
      g.fillRect(0, 0, side, this.first * t);
      g.fillRect(0, (this.first + l.R) * t, side, side);
    }
    frame(g, this.state.cell * s - d, this.first * t, Math.max(2 * d, s) + 2 * d, l.R * t, this.ink.b, 2 * d);
    g.fillStyle = this.ink.hot;
    for (const [r, q] of this.copies) g.fillRect(q * s - d, r * t - d, Math.max(3 * d, s), Math.max(3 * d, t));
    if (this.hot >= 0) g.fillRect(0, (this.first + this.hot) * t, side, clamp(t, 3 * d) + d);
    this.from = 0;
    this.seen = l.cols;
    this.name('b', 'X_col', `[${l.rows} × ${l.cols}], column ${this.state.cell}`);
  }

  drawClose() {
    const { l, input } = this.r, { cell } = this.state, wide = $('b').parentElement.clientWidth, h = Math.max(14, Math.min(34, wide / l.rows));
    this.seen = Math.min(l.cols, Math.max(4, Math.floor(wide / 34)));
    this.from = Math.max(0, Math.min(l.cols - this.seen, cell - (this.seen >> 1)));
    const g = sized($('b'), wide * dpr(), h * l.rows * dpr()), s = wide / this.seen;
    g.scale(dpr(), dpr());
    numbers(g, this.seen, l.rows, s, h, 10.5, (q, r) => {
      const u = xcol(l, input, r, this.from + q), grey = this.grey(u);
      g.fillStyle = css(grey);
      g.fillRect(q * s, r * h, s + 1, h + 1);
      return [[u], grey];
    });
    for (const [r, q] of this.copies) frame(g, (q - this.from) * s + 2, r * h + 2, s - 4, h - 4, this.ink.hot, 1.5);
    frame(g, (cell - this.from) * s, this.first * h + 1, s, l.R * h - 2, this.ink.b);
    if (this.hot >= 0) frame(g, 1, (this.first + this.hot) * h, wide - 2, h, this.ink.hot, 1.5);
    this.name('b', 'X_col', `[${l.rows} × ${l.cols}], column ${cell}; columns ${this.from}…${this.from + this.seen - 1} here`);
  }

  drawC() {
    const { l, w } = this.r, { k } = this.state, d = dpr(), [g, s, t] = this.fit('c', l.R, l.K, 48 * d);
    g.drawImage(this.rows, 0, 0, l.R * s, l.K * t);
    if (this.big && s > 14 * d && t > 12 * d) numbers(g, l.R, l.K, s, t, 9.5 * d, (r, q) => [[w[q * l.R + r]], colour(w[q * l.R + r], this.range, LUT.rdbu)]);
    frame(g, 1, k * t, l.R * s - 2, Math.max(t, 3 * d), this.ink.c, 2 * d);
    if (this.hot >= 0) frame(g, this.hot * s, k * t, Math.max(s, 3), Math.max(t, 3), this.ink.hot, 2 * d);
    this.name('c', 'W_row', `[${l.K} × ${l.R}], row ${k}`);
  }

  drawD() {
    const { l, v } = this.r, [g, s, t] = this.fit('d', l.OW, l.OH), d = dpr(), w = Math.max(s, 6 * d), h = Math.max(t, 6 * d);
    g.drawImage(this.map, 0, 0, l.OW * s, l.OH * t);
    if (this.big && s > 30 * d) numbers(g, l.OW, l.OH, s, t, 10.5 * d, (x, y) => { const u = v[this.state.k * l.cols + y * l.OW + x]; return [[u], colour(u, ...this.view)]; });
    frame(g, this.ox * s - (w - s) / 2, this.oy * t - (h - t) / 2, w, h, this.ink.d, 2 * d);
    this.name('d', 'Output', `map ${this.state.k}, y ${this.oy}, x ${this.ox}: ${fmt(this.says)}`);
  }

  drawDot() {
    const { x, w } = this, n = x.length, wide = $('dot').parentElement.clientWidth, s = this.strip = Math.min(84, (wide - GUTTER) / n), g = sized($('dot'), wide * dpr(), 78 * dpr());
    const p = x.map((u, r) => u * w[r]), most = Math.max(...p.map(Math.abs)) || 1;
    g.scale(dpr(), dpr());
    g.font = 'bold 13px ui-monospace, monospace';
    ['x', 'w', 'x·w'].forEach((t, row) => { g.fillStyle = this.ink['bcd'[row]]; g.fillText(t, 2, row * 26 + 17); });
    g.translate(GUTTER, 0);
    const look = [u => this.grey(u), u => colour(u, this.range, LUT.rdbu), u => colour(u, [-most, most], LUT.rdbu)];
    [x, w, p].forEach((of, row) => of.forEach((u, r) => {
      g.fillStyle = css(look[row](u));
      g.fillRect(r * s, row * 26, s + .5, 24);
    }));
    if (s >= 26) numbers(g, n, 3, s, 26, 10.5, (r, row) => [[[x, w, p][row][r]], look[row]([x, w, p][row][r])]);
    if (this.hot >= 0) frame(g, this.hot * s, 1, Math.max(s, 3), 74, this.ink.hot);
  }

  say() {
    const { l, bias } = this.r, { x, w, hot } = this, { sum, size } = dot(x, w, bias), got = activate(l.act, sum), same = equal(got, this.says, size, l.R);
    const order = [...x.keys()].filter(r => x[r] * w[r]).sort((a, b) => Math.abs(x[b] * w[b]) - Math.abs(x[a] * w[a])), few = order.length <= 9;
    const terms = (few ? order.sort((a, b) => a - b) : order.slice(0, 5)).map(r => `${fmt(x[r])}×${fmt(w[r])}`), rest = l.R - terms.length;
    $('eq').replaceChildren(`Σ x·w = ${[...terms, rest && `${rest} ${few ? 'zeros' : 'smaller ones'}`].filter(Boolean).join(' + ')} = ${fmt(Math.fround(sum - bias))}`
      + (bias ? ` + bias ${fmt(bias)} = ${fmt(sum)}` : '') + (l.act === 'none' ? '' : `; ${l.act} → ${fmt(got)}`)
      + `; the server says ${fmt(this.says)} `, el('b', {}, { '=': '✓ equal, bit for bit', '~': '✓ equal within float32 rounding', '': '✗ DIFFERENT' }[same]));
    label('dot', `${l.R} products. ${$('eq').textContent}`);
    const where = ({ c, y, x }) => y < 0 || x < 0 ? 'padding' : `channel ${c}, row ${y}, column ${x}`, tap = hot % (l.Fh * l.Fw);
    $('hot').textContent = (hot < 0 ? '' : `Row ${this.first + hot} of X_col: ${where(place(l, this.first + hot, this.state.cell))}, under the filter's `
      + `row ${Math.floor(tap / l.Fw)}, column ${tap % l.Fw}: ${fmt(x[hot])} × ${fmt(w[hot])} = ${fmt(x[hot] * w[hot])}. `)
      + ($('show-copies').checked ? `X_col holds ${where(this.copied)}, ${this.copies.length} times.` : '');
  }

  listen() {
    const when = (id, type, f) => on(id, type, e => this.r && f(e, this.r.l));
    when('prev', 'click', () => this.go(this.state.cell - 1));
    when('next', 'click', () => this.go(this.state.cell + 1));
    when('cell', 'input', () => this.go(+$('cell').value));
    when('close', 'change', () => this.draw());
    when('show-copies', 'change', () => this.draw());
    when('a', 'pointerdown', (e, l) => { const [px, py] = cellAt(e, this.pw, this.ph); this.go(windowAt(l, py, px)); });
    when('b', 'pointerdown', (e, l) => this.go(this.from + cellAt(e, this.seen, l.rows)[0]));
    when('c', 'pointerdown', (e, l) => this.go(this.state.cell, cellAt(e, l.R, l.K)[1]));
    when('d', 'pointerdown', (e, l) => { const [x, y] = cellAt(e, l.OW, l.OH); this.go(y * l.OW + x); });
    when('a', 'pointermove', e => this.hover(...cellAt(e, this.pw, this.ph)));
    when('b', 'pointermove', (e, l) => this.point(cellAt(e, this.seen, l.rows)[1] - this.first));
    when('c', 'pointermove', (e, l) => this.point(cellAt(e, l.R, l.K)[0]));
    when('dot', 'pointermove', e => this.point(Math.floor((e.offsetX - GUTTER) / this.strip)));
    for (const id of ['a', 'b', 'c', 'dot']) when(id, 'pointerleave', () => this.point(-1));
    for (const id of ['a', 'b', 'c', 'd', 'dot']) when(id, 'keydown', (e, l) => {
      const [x, y] = ARROWS[e.key] ?? [], { cell, k } = this.state;
      if (x === undefined) return;
      e.preventDefault();
      if (id === 'dot') this.point(clamp(this.hot + x + y * l.Fw, l.R));
      else if (id === 'c') this.go(cell + x, k + y);
      else if (id === 'b') this.go(cell + x + 10 * y);
      else this.go(clamp(this.oy + y, l.OH) * l.OW + clamp(this.ox + x, l.OW));
    });
  }

  // A padded pixel: the row of X_col that it is in the window.
  hover(px, py) {
    const { l } = this.r, i = (py - this.oy * l.S) / l.D, j = (px - this.ox * l.S) / l.D, inside = [i, j].every(Number.isInteger) && i >= 0 && j >= 0 && i < l.Fh && j < l.Fw;
    this.point(inside ? i * l.Fw + j : -1, { c: this.group * l.Cg, y: source(l.mode, py - l.pads[0], l.H), x: source(l.mode, px - l.pads[1], l.W) });
  }

  point(r, pixel = null) {
    this.hot = r >= 0 && r < this.r.l.R ? r : -1;
    this.pixel = pixel;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }
}
