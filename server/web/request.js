// The state as a request: its JSON, programs that send it, and the link that restores it. No DOM:
// node --test runs this file as it is.

// What a link may hold: a kind and its bounds, or the words. Checked here like a form field.
export const FIELDS = {
  sample: ['id', 'cat'], size: ['int', 1, 1024, 227], bank: ['id', 'learned96'],
  depth: ['word', 'auto', 'full', 'depthwise', 'luma'], flip: ['flag'], norm: ['flag'],
  K: ['int', 1, 512, 8], F: ['int', 1, 63, 3], S: ['int', 1, 64, 4],
  pad: ['word', 'pixels', 'valid', 'same', 'same_lower'], P: ['int', 0, 256, 0],
  mode: ['word', 'zeros', 'reflect', 'replicate', 'circular'], D: ['int', 1, 64, 1],
  groups: ['int', 1, 16, 1], bias: ['real', -1e6, 1e6, ''], seed: ['int', 0, 2147483647, 1],
  init: ['word', 'he', 'xavier'],
  act: ['word', 'none', 'relu', 'relu6', 'leaky_relu', 'sigmoid', 'tanh', 'elu', 'hardswish'],
  cmap: ['word', 'auto', 'gray', 'viridis', 'rdbu'],
  range: ['word', 'most', 'minmax', 'shared', 'absolute', 'possible'],
  k: ['int', 0, 65535, 0], cell: ['int', -1, 1e9, -1], other: ['int', -1, 65535, -1],
  zoom: ['int', 0, 64, 0],
};
export const preset = key => {
  const f = FIELDS[key];
  return f[0] === 'int' || f[0] === 'real' ? f[3] : f[0] === 'flag' ? false : f[1];
};
export const defaults = () => Object.fromEntries(Object.keys(FIELDS).map(k => [k, preset(k)]));

// A text as the field's value, or undefined when the field could not hold it. ids: known names.
export function parse(key, text, ids = {}) {
  const [kind, ...f] = FIELDS[key] ?? [];
  if (kind === 'word') return f.includes(text) ? text : undefined;
  if (kind === 'flag') return text === '1' ? true : text === '0' ? false : undefined;
  if (kind === 'id') return ids[key]?.includes(text) ? text : undefined;
  if (kind === 'real' && text === '') return '';
  if (!kind || !/^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(text)) return undefined;
  const n = Number(text);
  return n >= f[0] && n <= f[1] && (kind === 'real' || Number.isInteger(n)) ? n : undefined;
}

// #size=227&… into a state; what is unknown or out of range is left at its preset. Generators'
// numbers are g.NAME, edited filters w=KxCxHxW:numbers.
export function readLink(hash, ids, generators = {}) {
  const s = { ...defaults(), gen: {}, custom: null };
  for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ''))) {
    const value = parse(key, text, ids);
    if (value !== undefined) s[key] = value;
    if (key === 'w') s.custom = readWeights(text);
  }
  for (const p of generators[s.bank] ?? []) {
    const text = new URLSearchParams(hash.replace(/^#/, '')).get('g.' + p.name), n = Number(text);
    if (text && n >= p.min && n <= p.max && (p.type !== 'integer' || Number.isInteger(n))) s.gen[p.name] = n;
  }
  if (s.bank === 'custom' && !s.custom) s.bank = preset('bank');
  return s;
}

export function writeLink(s, mine) {
  const q = new URLSearchParams();
  for (const key of Object.keys(FIELDS)) {
    if (s[key] === preset(key) || (mine && key === 'sample')) continue;
    q.set(key, s[key] === true ? '1' : s[key] === false ? '0' : s[key]);
  }
  for (const [k, v] of Object.entries(s.gen)) q.set('g.' + k, v);
  const w = s.bank === 'custom' && s.custom;
  if (w && w.data.length <= 1024)
    q.set('w', `${w.flat ? 'f' : ''}${w.shape.join('x')}:${Array.from(w.data, x => +x.toPrecision(9)).join(',')}`);
  return q.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
}

function readWeights(text) {
  const m = /^(f?)(\d+)x(\d+)x(\d+)x(\d+):([-+\d.e,]+)$/i.exec(text);
  if (!m) return null;
  const shape = m.slice(2, 6).map(Number), data = Float32Array.from(m[6].split(',').map(Number));
  const fits = shape.every(n => n > 0 && n < 65) && data.length <= 1024 && (!m[1] || shape[1] === 1)
    && data.length === shape.reduce((a, b) => a * b) && data.every(Number.isFinite);
  return fits ? { shape, data, flat: !!m[1] } : null;
}

// --- the request -------------------------------------------------------------------------------

const nested = (data, width) => Array.from({ length: data.length / width },
  (_, y) => Array.from(data.subarray(y * width, (y + 1) * width), x => +x.toPrecision(9)));

// The parameters that make the weights what they are. spread: an edited bank as 4-D weights.
export function weightsOf(s, bank, generators, spread) {
  const p = {};
  if (s.bank === 'random') {
    p.weights = { random: { init: s.init, seed: s.seed } };
    Object.assign(p, { out_channels: s.K, kernel_size: s.F });
    if (s.groups !== 1) p.groups = s.groups;
  } else if (s.bank === 'custom') {
    const w = spread ?? s.custom;
    p.weights = w.flat ? nested(w.data, w.shape[3])
      : { shape: w.shape, data: Array.from(w.data, x => +x.toPrecision(9)) };
    if (w.groups > 1) p.groups = w.groups;
  } else {
    p.weights = generators[s.bank] ? { [s.bank]: { ...s.gen } } : s.bank;
  }
  if (bank.flat && s.depth !== 'auto' && !spread) p.depth = s.depth;
  if (s.flip) p.flip = true;
  if (s.norm) p.normalize = true;
  return p;
}

// All parameters but the image, by canonical names; only what is not the API's own default, but
// stride and padding always: banks have defaults of their own.
export function paramsOf(s, weights) {
  const p = { ...weights, stride: s.S, padding: s.pad === 'pixels' ? s.P : s.pad };
  if (s.mode !== 'zeros') p.padding_mode = s.mode;
  if (s.D !== 1) p.dilation = s.D;
  if (s.bias !== '') p.bias = s.bias;
  if (s.act !== 'none') p.activation = s.act;
  return p;
}

// --- programs ----------------------------------------------------------------------------------

const ANSWERS = { facts: { data: 'none' }, numbers: {}, png: { format: 'png' }, npy: { format: 'npy' } };
const sh = s => `'${s.replaceAll("'", "'\\''")}'`;
const LONG = 2000; // characters of JSON that still read as part of a program

// image: {sample, size}, or {file: name}. Text of a program that sends the request, and whether it
// reads params.json. answer: facts, numbers, png, npy.
export function program(language, url, image, params, answer) {
  const p = { ...(image.file ? {} : { image }), ...params, ...ANSWERS[answer] };
  const json = JSON.stringify(p), long = json.length > LONG, to = p.format && `maps.${p.format}`;
  const text = { curl, python, javascript, c }[language]({ url: url + 'convolve', file: image.file, json, p, long, to });
  return { text, long };
}

function curl({ url, file, json, long, to }) {
  const name = file && sh(/[";,\\]/.test(file) ? `image=@"${file.replace(/["\\]/g, '\\$&')}"` : `image=@${file}`);
  const parts = file ? [`-F ${name}`, `-F params=${long ? '\\<params.json' : sh(json)}`]
    : [`-d ${long ? '@params.json' : sh(json)}`];
  return [`curl -sS ${sh(url)}`, ...parts, ...(to ? [`-o ${to}`] : [])].join(' \\\n  ');
}

function python({ url, file, p, long, to }) {
  const literal = JSON.stringify(p, null, 1).replace(/\b(true|false|null)\b(?=,?\n|$)/g,
    w => ({ true: 'True', false: 'False', null: 'None' })[w]);
  const layer = long ? 'json.load(open("params.json"))' : literal.replace(/\n\s*(?=[-\d\]])/g, '');
  return `import ${file ? 'base64, ' : ''}json, urllib.request

layer = ${layer}
${file ? `layer["image"] = {"base64": base64.b64encode(open(${JSON.stringify(file)}, "rb").read()).decode()}\n` : ''}\
request = urllib.request.Request(${JSON.stringify(url)}, json.dumps(layer).encode(),
                                 {"Content-Type": "application/json"})
with urllib.request.urlopen(request) as reply:
${to ? `    open("${to}", "wb").write(reply.read())` : `    maps = json.load(reply)
print(maps["output"]["shape"])${p.data ? '' : '\nprint(maps["data"][:8])'}`}
`;
}

function javascript({ url, file, json, long, to }) {
  const read = long || file || to, reads = [long || file ? 'readFileSync' : '', to ? 'writeFileSync' : ''].filter(Boolean);
  const layer = long ? 'JSON.parse(readFileSync("params.json"))' : json;
  return `${read ? `import { ${reads.join(', ')} } from "node:fs"; // in a browser, use a file input\n` : ''}\
const layer = ${layer};
${file ? `layer.image = { base64: readFileSync(${JSON.stringify(file)}, "base64") };\n` : ''}\
const reply = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(layer),
});
if (!reply.ok) throw new Error((await reply.json()).detail);
${to ? `writeFileSync("${to}", Buffer.from(await reply.arrayBuffer()));` : 'const maps = await reply.json();\nconsole.log(JSON.stringify(maps.output.shape));'}
`;
}

function c({ url, file, json, long, to }) {
  const part = (name, how) => `    part = curl_mime_addpart(mime);
    curl_mime_name(part, "${name}");
${how}`;
  const data = long ? '    curl_mime_filedata(part, "params.json");\n    curl_mime_filename(part, NULL);\n'
    : `    curl_mime_data(part, ${JSON.stringify(json)}, CURL_ZERO_TERMINATED);\n`;
  return `/* cc layer.c -lcurl -o layer && ./layer */
#include <curl/curl.h>
#include <stdio.h>

int main(void)
{
    CURL *curl = curl_easy_init();
    curl_mime *mime = curl_mime_init(curl);
    curl_mimepart *part;
    CURLcode code;
${to ? `    FILE *out = fopen("${to}", "wb");

    if (!out)
        return 1;
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);\n` : '\n'}${part('params', data)}\
${file ? part('image', `    curl_mime_filedata(part, ${JSON.stringify(file)});\n`) : ''}\
    curl_easy_setopt(curl, CURLOPT_URL, ${JSON.stringify(url)});
    curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
    code = curl_easy_perform(curl); /* ${to ? `writes ${to}` : 'prints the JSON reply'} */
    if (code)
        fprintf(stderr, "%s\\n", curl_easy_strerror(code));
    curl_mime_free(mime);
    curl_easy_cleanup(curl);
${to ? '    fclose(out);\n' : ''}    return code ? 1 : 0;
}
`;
}
