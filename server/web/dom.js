// The few things that every part of the page does with the document.
export const $ = id => document.getElementById(id);

// An element with properties, data- and aria- attributes, and children.
export function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(props))
    if (k in e && !k.includes('-')) e[k] = v; else if (v !== undefined) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

export const theme = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A canvas cleared and sized; its 2-D context.
export function sized(canvas, w, h) {
  canvas.width = w;
  canvas.height = h;
  const g = canvas.getContext('2d');
  g.imageSmoothingEnabled = false;
  return g;
}

// A picture of w x h colours (words 0xAABBGGRR, filled by fill) that drawImage can scale.
export function sheet(w, h, fill) {
  const c = new OffscreenCanvas(w, h), img = new ImageData(w, h);
  fill(new Uint32Array(img.data.buffer));
  c.getContext('2d').putImageData(img, 0, 0);
  return c;
}

// A rectangle that shows on any colour: white on black, or a colour on black.
export function frame(g, x, y, w, h, colour = '#fff', width = 2) {
  g.lineWidth = width * 2;
  g.strokeStyle = '#000';
  g.strokeRect(x, y, w, h);
  g.lineWidth = width;
  g.strokeStyle = colour;
  g.strokeRect(x, y, w, h);
}

// Text in the middle of a cell, one line each.
export function write(g, lines, x, y, w, h, size, dark) {
  g.fillStyle = dark ? '#000' : '#fff';
  g.font = `${size}px ui-monospace, monospace`;
  g.textAlign = 'center';
  g.textBaseline = 'middle';
  lines.forEach((t, i) => g.fillText(t, x + w / 2, y + h / 2 + (i - (lines.length - 1) / 2) * size * 1.1, w - 1));
}

// Where in a canvas' own pixels an event happened.
export function at(e) {
  const c = e.currentTarget, box = c.getBoundingClientRect();
  return [(e.clientX - box.left) * c.width / box.width, (e.clientY - box.top) * c.height / box.height];
}

export const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export async function copyText(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
    return true;
  } catch { // plain http in a LAN is no secure context: select it and use the old command
    const range = document.createRange();
    range.selectNodeContents(node);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return document.execCommand('copy');
  }
}

export function save(name, data, type = 'application/octet-stream') {
  const a = el('a', { href: URL.createObjectURL(new Blob([data], { type })), download: name });
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}

// The light or dark button, remembered where storage is allowed.
export function themeButton(button, changed = () => {}) {
  const root = document.documentElement.dataset, media = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => root.theme ? root.theme === 'dark' : media.matches;
  const show = () => { button.setAttribute('aria-pressed', isDark()); changed(); };
  try { if (['light', 'dark'].includes(localStorage.theme)) root.theme = localStorage.theme; } catch { /* none */ }
  button.addEventListener('click', () => {
    root.theme = isDark() ? 'light' : 'dark';
    try { localStorage.theme = root.theme; } catch { /* private window */ }
    show();
  });
  media.addEventListener('change', show);
  show();
}
