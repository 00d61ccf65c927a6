// The feature maps: one large beside its filter, another to compare, and all of them small.
import { $, arrows, at, el, frame, sheet, sized, write } from './dom.js';
import { LUT, bright, clipped, colour, css, fmt, paint, possible, range, spread, stats } from './lib.js';
import { drawFilter } from './editor.js';

const VIEW = 448, MOST = 256, THUMB = 160, READABLE = 40;

export class Maps {
  // picked(k, cell) when the reader chooses a map or a cell; k or cell may be undefined.
  constructor(state, picked) {
    this.state = state;
    this.picked = picked;
    this.listen();
  }

  // r: layer l, input, weights w [K][R], maps v [K][OH][OW], names, bias of filter k.
  show(r) {
    this.r = r;
    this.n = r.l.OH * r.l.OW;
    this.seen = [];
    this.all = null;
    const other = $('other');
    other.replaceChildren(new Option('nothing', -1));
    for (let k = 0; k < Math.min(r.l.K, MOST); k++) other.add(new Option(`${k} ${r.name(k)}`, k));
    this.list();
    this.draw();
  }

  about(k) {
    const { l, v, w } = this.r, from = k * this.n;
    return this.seen[k] ??= {
      own: stats(v, from, from + this.n), most: spread(v, from, l),
      can: possible(w.subarray(k * l.R, (k + 1) * l.R), this.r.bias(k), l.act, 0, this.r.top),
    };
  }

  // Range and colours of map k; like: the map whose range it borrows.
  view(k, like = k) {
    const s = this.state, about = this.about(like);
    if (s.range === 'shared') this.all ??= this.together();
    let rng = range(s.range, { ...about, all: this.all });
    if (s.range === 'absolute') rng = [0, this.r.top];
    const name = s.cmap === 'auto' ? (rng[0] < 0 ? 'rdbu' : 'gray') : s.cmap;
    return { rng, lut: LUT[name] };
  }

  together() {
    const all = Array.from({ length: this.r.l.K }, (_, k) => this.about(k).most);
    return { lo: Math.min(...all.map(a => a.lo)), hi: Math.max(...all.map(a => a.hi)) };
  }

  // --- all of them, small -----------------------------------------------------------------------

  list() {
    const { l } = this.r, shown = Math.min(l.K, MOST), box = $('maps');
    const scale = Math.min(1, THUMB / Math.max(l.OW, l.OH));
    const w = Math.max(1, Math.round(l.OW * scale)), h = Math.max(1, Math.round(l.OH * scale));
    box.classList.toggle('many', l.K > 24);
    box.replaceChildren(...Array.from({ length: shown }, (_, k) => {
      const c = el('canvas', { width: w, height: h }), name = this.r.name(k);
      return el('div', { role: 'option', 'data-k': k, title: `${k} ${name}` }, c,
        el('span', { textContent: l.K > 24 ? k : `${k} ${name}` }));
    }));
    $('more').hidden = shown === l.K;
    $('more').textContent = `The first ${shown} of ${l.K} maps; the npy download has all.`;
  }

  paintAll() {
    const { l, v } = this.r;
    for (const [k, option] of [...$('maps').children].entries()) {
      const c = option.firstChild, { rng, lut } = this.view(k), { own } = this.about(k);
      const img = new ImageData(c.width, c.height);
      paint(new Uint32Array(img.data.buffer), v, k * this.n, l.OW, l.OH, c.width, c.height, rng, lut);
      c.getContext('2d').putImageData(img, 0, 0);
      option.setAttribute('aria-label', `Map ${k} ${this.r.name(k)}, ${fmt(own.lo)} to ${fmt(own.hi)}`);
    }
  }

  mark() {
    for (const [k, o] of [...$('maps').children].entries()) {
      o.setAttribute('aria-selected', k === this.state.k);
      o.tabIndex = k === this.state.k ? 0 : -1;
    }
  }

  // --- one large --------------------------------------------------------------------------------

  draw() {
    this.state.k = Math.min(this.state.k, this.r.l.K - 1);
    if (this.state.other >= this.r.l.K) this.state.other = -1;
    $('other').value = this.state.other;
    this.paintAll();
    this.large();
  }

  sheetOf(k, like) {
    const { l, v } = this.r, { rng, lut } = this.view(k, like);
    return sheet(l.OW, l.OH, px => paint(px, v, k * this.n, l.OW, l.OH, l.OW, l.OH, rng, lut));
  }

  large() {
    const { l, w } = this.r, { k, other } = this.state;
    this.mark();
    this.first = this.sheetOf(k);
    this.second = other >= 0 ? this.sheetOf(other, k) : null;
    drawFilter($('filter'), w.subarray(k * l.R, (k + 1) * l.R), l.Cg, l.Fh, l.Fw);
    $('filter').setAttribute('aria-label', `Filter ${k}`);
    $('filter-c').textContent = `Filter ${k} ${this.r.name(k)}: ${l.Cg}×${l.Fh}×${l.Fw}`;
    $('map-c').textContent = `Map ${k}: ${l.OW}×${l.OH}, mean ${fmt(this.about(k).own.mean)}`;
    $('map2-f').hidden = other < 0;
    if (other >= 0) {
      $('map2-c').textContent = `Map ${other} ${this.r.name(other)}, same range`;
      $('map2').setAttribute('aria-label', `Map ${other} in the range of map ${k}`);
    }
    this.legend();
    this.cells();
  }

  legend() {
    const { k } = this.state, { rng, lut } = this.view(k), { own } = this.about(k), [lo, hi] = rng;
    const g = $('bar').getContext('2d'), share = clipped(this.r.v, k * this.n, this.n, rng);
    for (let x = 0; x < 256; x++) { g.fillStyle = css(lut[x]); g.fillRect(x, 0, 1, 12); }
    $('bar').setAttribute('aria-label', `Colours from ${fmt(lo)} to ${fmt(hi)}`);
    $('lo').textContent = fmt(lo);
    $('mid').textContent = lo < 0 && hi > 0 ? '0' : '';
    $('mid').style.insetInlineStart = `${Math.max(12, Math.min(88, 100 * -lo / (hi - lo)))}%`;
    $('hi').textContent = fmt(hi);
    $('clip').textContent = `min ${fmt(own.lo)}, max ${fmt(own.hi)}; ${share ? `${(100 * share).toFixed(share < .001 ? 3 : 1)} % clipped` : 'nothing clipped'}`
      + (own.bad ? `; ${own.bad} NaN or infinite (magenta)` : '');
  }

  // Integer scale and the part of the map that is seen; the chosen cell is always in it.
  window() {
    const { l } = this.r, fit = Math.min(VIEW / l.OW, VIEW / l.OH);
    const z = this.state.zoom || (fit >= 1 ? Math.min(64, Math.floor(fit)) : fit);
    const w = Math.min(l.OW, Math.ceil(VIEW / z)), h = Math.min(l.OH, Math.ceil(VIEW / z));
    const cell = this.state.cell, keep = (at, size, n, old) => {
      const margin = Math.min(2, size >> 2);
      if (at < old + margin || at >= old + size - margin) old = at - (size >> 1);
      return Math.max(0, Math.min(n - size, old));
    };
    this.x0 = keep(cell % l.OW, w, l.OW, this.x0 ?? 0);
    this.y0 = keep(Math.floor(cell / l.OW), h, l.OH, this.y0 ?? 0);
    return { z, w, h };
  }

  cells() {
    const { z, w, h } = this.z = this.window();
    this.cellsOf($('map'), this.first, this.state.k);
    if (this.second) this.cellsOf($('map2'), this.second, this.state.other);
    $('zoom').textContent = this.state.zoom ? `${z}×` : 'fit';
    $('map').setAttribute('aria-label', `Map ${this.state.k}, columns ${this.x0} to ${this.x0 + w - 1}, rows ${this.y0} to ${this.y0 + h - 1}; arrow keys move the cell, plus and minus zoom`);
    this.probe(this.state.cell % this.r.l.OW, Math.floor(this.state.cell / this.r.l.OW));
  }

  cellsOf(canvas, pic, k) {
    const { l, v } = this.r, { z, w, h } = this.z, { rng, lut } = this.view(k, this.state.k);
    const g = sized(canvas, Math.max(1, Math.round(w * z)), Math.max(1, Math.round(h * z)));
    g.drawImage(pic, this.x0, this.y0, w, h, 0, 0, canvas.width, canvas.height);
    if (z >= READABLE)
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++) {
          const u = v[k * this.n + (this.y0 + y) * l.OW + this.x0 + x];
          write(g, [fmt(u)], x * z, y * z, z, z, 11, bright(colour(u, rng, lut)));
        }
    const cx = this.state.cell % l.OW - this.x0, cy = Math.floor(this.state.cell / l.OW) - this.y0;
    frame(g, cx * z - 1, cy * z - 1, Math.max(z, 5) + 1, Math.max(z, 5) + 1);
  }

  probe(x, y) {
    const { l, v } = this.r, { k, other } = this.state, i = y * l.OW + x;
    const second = other >= 0 ? `, map ${other}: ${fmt(v[other * this.n + i])}` : '';
    $('probe').textContent = `map ${k} (x ${x}, y ${y}) = ${fmt(v[k * this.n + i])}${second}`;
  }

  // --- the reader's hand ------------------------------------------------------------------------

  listen() {
    const under = e => {
      const [x, y] = at(e), { l } = this.r;
      return [Math.min(l.OW - 1, this.x0 + Math.floor(x / this.z.z)), Math.min(l.OH - 1, this.y0 + Math.floor(y / this.z.z))];
    };
    for (const c of [$('map'), $('map2')]) {
      c.addEventListener('pointermove', e => this.r && this.probe(...under(e)));
      c.addEventListener('pointerdown', e => {
        if (!this.r) return;
        const [x, y] = under(e);
        this.picked(undefined, y * this.r.l.OW + x);
      });
    }
    $('map').addEventListener('keydown', e => {
      const move = arrows[e.key], { l } = this.r ?? {}, zoom = { '+': 1, '=': 1, '-': -1 }[e.key];
      if (!l || e.ctrlKey || e.metaKey || !(move || zoom)) return;
      e.preventDefault();
      if (zoom) return this.zoom(zoom);
      const step = e.shiftKey ? 10 : 1, inside = (q, n) => Math.max(0, Math.min(n - 1, q));
      const x = inside(this.state.cell % l.OW + move[0] * step, l.OW);
      this.picked(undefined, inside(Math.floor(this.state.cell / l.OW) + move[1] * step, l.OH) * l.OW + x);
    });
    $('in').addEventListener('click', () => this.zoom(1));
    $('out').addEventListener('click', () => this.zoom(-1));
    const box = $('maps');
    box.addEventListener('click', e => {
      const o = e.target.closest('[role=option]');
      if (o) this.picked(+o.dataset.k);
    });
    box.addEventListener('keydown', e => {
      const tops = [...box.children].map(o => o.offsetTop), per = tops.filter(t => t === tops[0]).length;
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -per, ArrowDown: per, Home: -1e9, End: 1e9 }[e.key];
      if (!step) return;
      e.preventDefault();
      this.picked(Math.max(0, Math.min(box.children.length - 1, this.state.k + step)));
      box.children[this.state.k].focus();
    });
  }

  // Through 1, 2, 3, 4, 6, 8 ... 64 pixels a cell; below 1 all of it fits.
  zoom(step) {
    if (!this.r) return;
    const steps = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64], z = this.z.z;
    const next = step > 0 ? steps.find(s => s > z + .01) : steps.findLast(s => s < z - .01);
    const fit = VIEW / Math.max(this.r.l.OW, this.r.l.OH);
    this.state.zoom = !next || next <= fit ? 0 : next;
    if (step > 0 && next) this.state.zoom = next;
    this.cells();
    this.picked();
  }
}
