// The editor of one filter's cells, and its picture. Cells are a table of number fields.
import { $, el, sheet, sized } from './dom.js';
import { LUT } from './lib.js';

const CHANNELS = ['red', 'green', 'blue'];

// A filter as a picture: blue, white, red; or, of three channels, as the colours it looks for.
export function drawFilter(canvas, w, Cg, Fh, Fw) {
  const n = Fh * Fw, most = Math.max(...w.map(Math.abs)) || 1, rgb = Cg === 3;
  const tiles = rgb ? 1 : Math.min(Cg, 8), scale = Math.max(1, Math.floor(160 / (Fw * tiles)));
  const pic = sheet(Fw * tiles, Fh, px => {
    for (let t = 0; t < tiles; t++)
      for (let i = 0; i < n; i++) {
        const level = c => Math.round(127.5 + 127.5 * w[c * n + i] / most);
        px[Math.floor(i / Fw) * Fw * tiles + t * Fw + i % Fw] = rgb
          ? (255 << 24 | level(2) << 16 | level(1) << 8 | level(0)) >>> 0 : LUT.rdbu[level(t)];
      }
  });
  sized(canvas, Fw * tiles * scale, Fh * scale).drawImage(pic, 0, 0, Fw * tiles * scale, Fh * scale);
}

export class Editor {
  // changed(k, index, value): cell index of filter k, counted over its channels.
  constructor(changed) {
    this.changed = changed;
    this.box = $('editor');
    this.channel = 0;
  }

  // filters [K][Cb][Fh][Fw] as numbers; k the one to show.
  show({ shape, data }, k, name) {
    const [K, Cb, Fh, Fw] = shape, n = Fh * Fw;
    k = Math.max(0, k % K);
    const now = [...shape, k, Cb, this.channel].join();
    this.base = k * Cb * n;
    this.channel = Math.min(this.channel, Cb - 1);
    if (now !== this.built) this.build(shape, k);
    this.built = now;
    this.title.textContent = `Filter ${k}${name ? `, ${name}` : ''}`;
    for (const [i, input] of this.inputs.entries())
      if (input !== document.activeElement) input.value = +data[this.base + this.channel * n + i].toPrecision(3);
  }

  build([K, Cb, Fh, Fw], k) {
    const table = el('table', { 'aria-label': `Weights of filter ${k}` });
    this.title = el('span');
    this.inputs = [];
    for (let y = 0; y < Fh; y++) {
      const row = table.insertRow();
      for (let x = 0; x < Fw; x++) {
        const i = this.inputs.length;
        const input = el('input', { type: 'number', step: 'any', 'aria-label': `row ${y + 1}, column ${x + 1}` });
        input.addEventListener('input', () => {
          if (Number.isFinite(input.valueAsNumber))
            this.changed(k, this.channel * Fh * Fw + i, input.valueAsNumber);
        });
        row.insertCell().append(input);
        this.inputs.push(input);
      }
    }
    const parts = [this.title];
    if (Cb > 1) {
      const pick = el('select', { 'aria-label': 'Channel of the filter' });
      for (let c = 0; c < Cb; c++) pick.add(new Option(CHANNELS[Cb === 3 ? c : 9] ?? `channel ${c}`, c));
      pick.value = this.channel;
      pick.addEventListener('change', () => { this.channel = +pick.value; this.built = ''; this.again(); });
      parts.push(pick);
    }
    this.box.replaceChildren(el('div', { className: 'bar' }, ...parts), el('div', { className: 'cells' }, table));
  }

  // Lights the cell of index i of the filter (over its channels), or none.
  light(i) {
    const n = this.inputs?.length ?? 0;
    this.inputs?.forEach((input, j) => input.classList.toggle('hot', i >= 0 && i % n === j));
  }
}
