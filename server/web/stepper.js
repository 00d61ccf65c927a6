// One output cell seen five ways: window of the image, column of X_col, row of W_row, cell of the
// map, and the dot product between them. All numbers are the server's.
import { $, arrows, at, frame, sheet, sized, theme, write } from './dom.js';
import { LUT, bright, copies, colour, count, css, dot, activate, equal, fmt, place, source, windowAt, xcol } from './lib.js';

const FINE = 640; // most rows and columns of X_col and W_row that are drawn
const clamp = (x, n) => Math.max(0, Math.min(n - 1, x));

export class Stepper {
  // picked(k, cell) when the reader moves; light(i) lights a cell of the filter, or none (-1).
  constructor(state, picked, light) {
    Object.assign(this, { state, picked, light, hot: -1, pixel: null, timer: 0 });
    this.listen();
  }

  // r as in Maps.show; map: the large map's picture.
  show(r, map) {
    const fresh = this.r !== r;
    Object.assign(this, { r, map });
    if (fresh) {
      this.hot = -1;
      this.pixel = null;
      this.drawInput();
      this.drawColumns();
      this.drawWeights();
      $('cell').max = r.l.cols - 1;
      const small = r.l.rows <= 48 && r.l.W <= 16;
      $('close').checked = small;
      $('close').parentElement.hidden = r.l.rows > 48;
    }
    this.draw();
  }

  get group() { return Math.floor(this.state.k / (this.r.l.K / this.r.l.groups)); }
  get first() { return this.group * this.r.l.R; } // the first row of X_col that filter k meets
  level(x) { return Math.max(0, Math.min(255, Math.round(255 * x / this.r.top))); }

  // --- what stays while one steps: pictures of input, X_col, W_row ---------------------------------

  drawInput() {
    const { l, input } = this.r, [top, left, bottom, right] = l.pads;
    this.pw = l.W + left + right;
    this.ph = l.H + top + bottom;
    this.base = sheet(this.pw, this.ph, px => {
      for (let y = 0, i = 0; y < this.ph; y++)
        for (let x = 0; x < this.pw; x++, i++) {
          const iy = source(l.mode, y - top, l.H), ix = source(l.mode, x - left, l.W);
          if (iy < 0 || ix < 0) { px[i] = (x + y) % 2 ? 0xff707070 : 0xff808080; continue; }
          const u = c => this.level(input[((l.C > 2 ? c : 0) * l.H + iy) * l.W + ix]);
          const inside = y >= top && x >= left && y < top + l.H && x < left + l.W;
          const pad = c => inside ? c : (c + 255) >> 1; // what the padding mode puts there, pale
          px[i] = (255 << 24 | pad(u(2)) << 16 | pad(u(1)) << 8 | pad(u(0))) >>> 0;
        }
    });
  }

  drawColumns() {
    const { l, input } = this.r, w = Math.min(l.cols, FINE), h = Math.min(l.rows, FINE);
    const takes = l.cols > w ? 3 : 1;
    this.columns = sheet(w, h, px => {
      for (let y = 0, i = 0; y < h; y++) {
        const row = Math.floor((y + .5) * l.rows / h);
        for (let x = 0; x < w; x++, i++) {
          let sum = 0;
          for (let q = 0; q < takes; q++)
            sum += xcol(l, input, row, Math.floor((x + (q + .5) / takes) * l.cols / w));
          px[i] = LUT.gray[this.level(sum / takes)];
        }
      }
    });
  }

  drawWeights() {
    const { l, w } = this.r, wide = Math.min(l.R, FINE), high = Math.min(l.K, FINE);
    this.most = 0;
    for (const x of w) this.most = Math.max(this.most, Math.abs(x));
    const range = this.range = [-this.most || -1, this.most || 1];
    this.rows = sheet(wide, high, px => {
      for (let y = 0, i = 0; y < high; y++)
        for (let x = 0; x < wide; x++, i++)
          px[i] = colour(w[Math.floor((y + .5) * l.K / high) * l.R + Math.floor((x + .5) * l.R / wide)], range, LUT.rdbu);
    });
  }

  // --- one step ------------------------------------------------------------------------------------

  go(cell, k = this.state.k) {
    this.picked(clamp(k, this.r.l.K), clamp(cell, this.r.l.cols));
  }

  draw() {
    const { l, input, w } = this.r, { k, cell } = this.state, R = l.R;
    this.x = Float32Array.from({ length: R }, (_, r) => xcol(l, input, this.first + r, cell));
    this.w = w.subarray(k * R, (k + 1) * R);
    this.oy = Math.floor(cell / l.OW);
    this.ox = cell % l.OW;
    $('cell').value = cell;
    $('cell-o').textContent = `${cell} of ${l.cols - 1}: output y ${this.oy}, x ${this.ox}`;
    this.big = $('close').checked && !$('close').parentElement.hidden;
    $('step').classList.toggle('close', this.big);
    this.copies = $('show-copies').checked ? this.findCopies() : [];
    this.drawA();
    this.big ? this.drawClose() : this.drawB();
    this.drawC();
    this.drawD();
    this.drawDot();
    this.say();
    this.light(this.hot);
  }

  // The canvas as wide as it is shown, as high as w x h cells need; a context and the cell's size.
  fit(id, w, h, most = 1.25) {
    const dpr = Math.min(2, devicePixelRatio || 1), c = $(id), wide = Math.max(120, Math.round(c.parentElement.clientWidth * dpr));
    const sx = wide / w, sy = Math.min(sx, wide * most / h);
    return [sized(c, wide, Math.max(1, Math.round(h * sy))), sx, sy, dpr];
  }

  findCopies() {
    const { l } = this.r, middle = Math.floor(l.Fh / 2) * l.Fw + Math.floor(l.Fw / 2);
    const p = this.pixel ?? place(l, this.first + (this.hot >= 0 ? this.hot : middle), this.state.cell);
    this.copied = p;
    return p.y < 0 || p.x < 0 ? [] : copies(l, p.c, p.y, p.x);
  }

  drawA() {
    const { l, input } = this.r, [g, s, sy, dpr] = this.fit('a', this.pw, this.ph), c = $('a');
    g.imageSmoothingEnabled = s < 1;
    g.drawImage(this.base, 0, 0, c.width, c.height);
    if (this.big && s > 30 * dpr)
      for (let y = 0; y < this.ph; y++)
        for (let x = 0; x < this.pw; x++) this.numberA(g, x, y, s, sy, dpr, l, input);
    const y0 = this.oy * l.S, x0 = this.ox * l.S;
    frame(g, x0 * s, y0 * sy, l.reachW * s, l.reachH * sy, theme('--a'), 2 * dpr);
    const p = this.hot >= 0 ? place(l, this.first + this.hot, this.state.cell) : this.copies.length
      ? { py: this.copied.y + l.pads[0], px: this.copied.x + l.pads[1] } : null;
    if (p) frame(g, p.px * s, p.py * sy, Math.max(s, 4), Math.max(sy, 4), theme('--hot'), 2 * dpr);
    const where = (o, reach, pad) => `${o - pad}…${o - pad + reach - 1}`;
    const text = `rows ${where(y0, l.reachH, l.pads[0])}, columns ${where(x0, l.reachW, l.pads[1])}`;
    $('a-c').textContent = text;
    c.setAttribute('aria-label', `Padded input ${this.pw}×${this.ph}, window at ${text}`);
  }

  numberA(g, x, y, s, sy, dpr, l, input) {
    const iy = source(l.mode, y - l.pads[0], l.H), ix = source(l.mode, x - l.pads[1], l.W);
    const px = iy < 0 || ix < 0 ? null : Array.from({ length: Math.min(3, l.C) }, (_, c) => input[(c * l.H + iy) * l.W + ix]);
    const rgb = px?.map(u => this.level(u)), dark = px && bright((rgb[2] ?? rgb[0]) << 16 | (rgb[1] ?? rgb[0]) << 8 | rgb[0]);
    write(g, px ? px.map(fmt) : ['0'], x * s, y * sy, s, sy, 10.5 * dpr, dark);
  }

  drawB() {
    const { l } = this.r, [g, , , dpr] = this.fit('b', 1, 1), c = $('b'), S = c.width, col = this.state.cell;
    g.drawImage(this.columns, 0, 0, S, S);
    const sx = S / l.cols, sy = S / l.rows, [b, hot] = [theme('--b'), theme('--hot')];
    if (l.groups > 1) { // this filter's rows of X_col
      g.fillStyle = 'rgb(128 128 128 / .65)';
      g.fillRect(0, 0, S, this.first * sy);
      g.fillRect(0, (this.first + l.R) * sy, S, S);
    }
    frame(g, col * sx - dpr, this.first * sy, Math.max(2 * dpr, sx) + 2 * dpr, l.R * sy, b, 2 * dpr);
    g.fillStyle = hot;
    for (const [r, q] of this.copies) g.fillRect(q * sx - dpr, r * sy - dpr, Math.max(3 * dpr, sx), Math.max(3 * dpr, sy));
    if (this.hot >= 0) g.fillRect(0, (this.first + this.hot) * sy, S, Math.max(2 * dpr, Math.min(sy, 3 * dpr)));
    this.from = 0;
    this.seen = l.cols;
    this.sayB('');
  }

  // Some columns around the chosen one, with their numbers.
  drawClose() {
    const { l, input } = this.r, dpr = Math.min(2, devicePixelRatio || 1), col = this.state.cell;
    const wide = $('b').parentElement.clientWidth;
    this.seen = Math.min(l.cols, Math.max(4, Math.floor(wide / 34)));
    this.from = Math.max(0, Math.min(l.cols - this.seen, col - (this.seen >> 1)));
    const h = Math.max(14, Math.min(34, wide / l.rows)), g = sized($('b'), wide * dpr, h * l.rows * dpr), s = wide / this.seen;
    g.scale(dpr, dpr);
    const marked = new Set(this.copies.map(([r, q]) => r * l.cols + q));
    for (let r = 0; r < l.rows; r++)
      for (let q = 0; q < this.seen; q++) {
        const u = xcol(l, input, r, this.from + q), lut = LUT.gray[this.level(u)];
        g.fillStyle = css(lut);
        g.fillRect(q * s, r * h, s + 1, h + 1);
        write(g, [fmt(u)], q * s, r * h, s, h, 10.5, bright(lut));
        if (marked.has(r * l.cols + this.from + q)) frame(g, q * s + 2, r * h + 2, s - 4, h - 4, theme('--hot'), 1.5);
      }
    frame(g, (col - this.from) * s, this.first * h + 1, s, l.R * h - 2, theme('--b'), 2);
    if (this.hot >= 0) frame(g, 1, (this.first + this.hot) * h, wide - 2, h, theme('--hot'), 1.5);
    this.sayB(`, columns ${this.from}…${this.from + this.seen - 1} here`);
  }

  sayB(more) {
    const { l } = this.r, text = `[${l.rows} × ${l.cols}], column ${this.state.cell}${more}`;
    $('b-c').textContent = text;
    $('b').setAttribute('aria-label', `X_col ${text}`);
  }

  drawC() {
    const { l } = this.r, [g, , , dpr] = this.fit('c', 1, 1), S = $('c').width, sx = S / l.R, sy = S / l.K;
    g.drawImage(this.rows, 0, 0, S, S);
    frame(g, 1, this.state.k * sy, S - 2, Math.max(sy, 3 * dpr), theme('--c'), 2 * dpr);
    if (this.hot >= 0) frame(g, this.hot * sx, this.state.k * sy, Math.max(sx, 3), Math.max(sy, 3), theme('--hot'), 2 * dpr);
    const text = `[${l.K} × ${l.R}], row ${this.state.k}`;
    $('c-c').textContent = text;
    $('c').setAttribute('aria-label', `W_row ${text}`);
  }

  drawD() {
    const { l } = this.r, [g, s, sy, dpr] = this.fit('d', l.OW, l.OH), c = $('d');
    g.imageSmoothingEnabled = s < 1;
    g.drawImage(this.map, 0, 0, c.width, c.height);
    const side = Math.max(s, 6 * dpr);
    frame(g, this.ox * s - (side - s) / 2, this.oy * sy - (side - s) / 2, side, Math.max(sy, 6 * dpr), theme('--d'), 2 * dpr);
    this.says = this.r.v[this.state.k * l.cols + this.state.cell];
    const text = `map ${this.state.k}, y ${this.oy}, x ${this.ox}: ${fmt(this.says)}`;
    $('d-c').textContent = text;
    c.setAttribute('aria-label', `Output ${text}`);
  }

  drawDot() {
    const { x, w } = this, R = x.length, c = $('dot'), dpr = Math.min(2, devicePixelRatio || 1);
    const wide = c.parentElement.clientWidth, high = 26, s = this.strip = Math.min(84, wide / R), g = sized(c, wide * dpr, 3 * high * dpr);
    const p = x.map((v, r) => v * w[r]), most = Math.max(...p.map(Math.abs)) || 1;
    g.scale(dpr, dpr);
    const strip = (row, of, look) => {
      for (let r = 0; r < R; r++) {
        const u = look(of[r]);
        g.fillStyle = css(u);
        g.fillRect(r * s, row * high, s + .5, high - 2);
        if (s >= 30) write(g, [fmt(of[r])], r * s, row * high, s, high - 2, 10.5, bright(u));
      }
    };
    strip(0, x, v => LUT.gray[this.level(v)]);
    strip(1, w, v => colour(v, this.range, LUT.rdbu));
    strip(2, p, v => colour(v, [-most, most], LUT.rdbu));
    if (this.hot >= 0) frame(g, this.hot * s, 1, Math.max(s, 3), 3 * high - 4, theme('--hot'));
  }

  // --- in words -------------------------------------------------------------------------------------

  say() {
    const { l } = this.r, { x, w } = this, bias = this.r.bias(this.state.k), { sum, size } = dot(x, w, bias);
    const got = activate(l.act, sum), same = equal(got, this.says, size, x.length);
    const order = [...x.keys()].filter(r => x[r] * w[r]).sort((a, b) => Math.abs(x[b] * w[b]) - Math.abs(x[a] * w[a]));
    const shown = order.length <= 9 ? order.sort((a, b) => a - b) : order.slice(0, 5), rest = x.length - shown.length;
    const terms = shown.map(r => `${fmt(x[r])}×${fmt(w[r])}`).join(' + ') || '0';
    const raw = Math.fround(sum - bias), verdict = { '=': '✓ equal, bit for bit', '~': '✓ equal within float32 rounding', '': '✗ DIFFERENT' }[same];
    $('eq').textContent = `Σ x·w = ${terms}${rest ? ` + ${rest} ${order.length > 9 ? 'smaller ones' : 'zeros'}` : ''} = ${fmt(raw)}`
      + (bias ? ` + bias ${fmt(bias)} = ${fmt(sum)}` : '') + (l.act === 'none' ? '' : `; ${l.act} → ${fmt(got)}`)
      + `; the server says ${fmt(this.says)} ${verdict}`;
    $('eq').dataset.equal = same;
    $('dot').setAttribute('aria-label', `${x.length} products. ${$('eq').textContent}`);
    $('hot').textContent = this.sayHot() + this.sayCopies();
  }

  sayHot() {
    const r = this.hot, { l } = this.r;
    if (r < 0) return '';
    const { c, y, x } = place(l, this.first + r, this.state.cell), tap = r % (l.Fh * l.Fw);
    const from = y < 0 || x < 0 ? 'padding' : `channel ${c}, row ${y}, column ${x}`;
    return `Row ${this.first + r} of X_col: ${from}, under the filter's row ${Math.floor(tap / l.Fw)}, column ${tap % l.Fw}: `
      + `${fmt(this.x[r])} × ${fmt(this.w[r])} = ${fmt(Math.fround(this.x[r] * this.w[r]))}. `;
  }

  sayCopies() {
    if (!$('show-copies').checked) return '';
    const { c, y, x } = this.copied, n = this.copies.length;
    return y < 0 || x < 0 ? 'This place is padding.'
      : `The pixel of channel ${c}, row ${y}, column ${x} stands in ${count(n)} place${n === 1 ? '' : 's'} of X_col.`;
  }

  // --- the reader's hand ----------------------------------------------------------------------------

  listen() {
    const on = (id, type, f) => $(id).addEventListener(type, e => this.r && f(e));
    on('prev', 'click', () => this.go(this.state.cell - 1));
    on('next', 'click', () => this.go(this.state.cell + 1));
    on('cell', 'input', () => this.go(+$('cell').value));
    on('play', 'click', () => this.play());
    for (const id of ['close', 'show-copies']) on(id, 'change', () => this.draw());
    on('a', 'pointerdown', e => { const [px, py] = this.underA(e); this.go(windowAt(this.r.l, py, px)); });
    on('b', 'pointerdown', e => this.go(this.from + Math.floor(at(e)[0] * this.seen / e.currentTarget.width)));
    on('c', 'pointerdown', e => this.go(this.state.cell, Math.floor(at(e)[1] * this.r.l.K / e.currentTarget.height)));
    on('d', 'pointerdown', e => {
      const { l } = this.r, [x, y] = at(e), c = e.currentTarget;
      this.go(clamp(Math.floor(y * l.OH / c.height), l.OH) * l.OW + clamp(Math.floor(x * l.OW / c.width), l.OW));
    });
    on('a', 'pointermove', e => this.hoverA(...this.underA(e)));
    on('b', 'pointermove', e => this.point(Math.floor(at(e)[1] * this.r.l.rows / e.currentTarget.height) - this.first));
    on('c', 'pointermove', e => this.point(Math.floor(at(e)[0] * this.r.l.R / e.currentTarget.width)));
    on('dot', 'pointermove', e => this.point(Math.floor(at(e)[0] * $('dot').clientWidth / e.currentTarget.width / this.strip)));
    for (const id of ['a', 'b', 'c', 'dot']) on(id, 'pointerleave', () => this.point(-1));
    for (const id of ['a', 'b', 'c', 'd', 'dot']) on(id, 'keydown', e => this.key(e));
  }

  key(e) {
    const move = arrows[e.key], { l } = this.r, { cell, k } = this.state;
    if (!move) return;
    e.preventDefault();
    if (e.currentTarget.id === 'dot') return this.point(clamp(this.hot + move[0] + move[1] * l.Fw, l.R));
    if (e.currentTarget.id === 'c') return this.go(cell + move[0], k + move[1]);
    if (e.currentTarget.id === 'b') return this.go(cell + move[0] + 10 * move[1]);
    this.go(clamp(this.oy + move[1], l.OH) * l.OW + clamp(this.ox + move[0], l.OW));
  }

  underA(e) {
    const [x, y] = at(e), c = e.currentTarget;
    return [Math.floor(x * this.pw / c.width), Math.floor(y * this.ph / c.height)];
  }

  // A pixel of the padded input: the row of X_col it stands in, when it is in the window.
  hoverA(px, py) {
    const { l } = this.r, i = (py - this.oy * l.S) / l.D, j = (px - this.ox * l.S) / l.D;
    const inside = Number.isInteger(i) && Number.isInteger(j) && i >= 0 && j >= 0 && i < l.Fh && j < l.Fw;
    const y = source(l.mode, py - l.pads[0], l.H), x = source(l.mode, px - l.pads[1], l.W);
    this.point(inside ? i * l.Fw + j : -1, $('show-copies').checked ? { c: this.group * l.Cg, y, x } : null);
  }

  point(r, pixel = null) {
    const hot = r >= 0 && r < this.r.l.R ? r : -1;
    if (hot === this.hot && !pixel && !this.pixel) return;
    this.hot = hot;
    this.pixel = pixel;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  play() {
    const on = !this.timer;
    clearInterval(this.timer);
    this.timer = on ? setInterval(() => this.r && this.go((this.state.cell + 1) % this.r.l.cols), 600) : 0;
    $('play').setAttribute('aria-pressed', on);
  }
}
