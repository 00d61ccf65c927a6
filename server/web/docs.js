// Renders openapi.json: operations, parameters with their limits, replies, examples as curl.
import { $, copyText, el, themeButton } from './views.js';

const BASE = new URL('.', document.baseURI).href.replace(/\/$/, '');
let api;

const sh = s => `'${s.replaceAll("'", "'\\''")}'`;
function resolve(x) {
  while (x?.$ref) x = x.$ref.slice(2).split('/').reduce((o, k) => o[k.replaceAll('~1', '/').replaceAll('~0', '~')], api);
  return x;
}

// A schema in a few words: type, words, limits, default.
function words(schema) {
  const s = resolve(schema) ?? {}, n = x => Math.abs(x) < 1e15 ? x.toLocaleString('en-US').replaceAll(',', ' ') : String(x);
  if (s.oneOf || s.anyOf) return (s.oneOf ?? s.anyOf).map(words).join(', or ');
  const type = s.const !== undefined ? JSON.stringify(s.const) : s.enum ? s.enum.join(', ')
    : s.type === 'array' ? `list${s.minItems && s.minItems === s.maxItems ? ` of ${s.minItems}` : ''}: ${words(s.items)}`
    : [s.type].flat().filter(Boolean).join(' or ');
  const limits = s.minimum !== undefined && s.maximum !== undefined ? ` ${n(s.minimum)} to ${n(s.maximum)}`
    : s.minimum !== undefined ? ` from ${n(s.minimum)}` : '';
  return (s.title ?? type) + limits + (s.default !== undefined ? `, default ${JSON.stringify(s.default)}` : '');
}

function table(rows, ...heads) {
  const t = el('table', {}, el('thead', {}, el('tr', {}, ...heads.map(h => el('th', { scope: 'col', textContent: h })))));
  t.append(el('tbody', {}, ...rows.map(r => el('tr', {}, ...r.map(c => el('td', {}, c))))));
  return t;
}
const code = text => el('code', { textContent: text });

function curl(method, path, type, body) {
  const head = `curl -sS${method === 'GET' || body !== undefined ? '' : ` -X ${method}`}`;
  if (body === undefined) return `${head} ${sh(BASE + path)}`;
  if (type === 'multipart/form-data')
    return `${head} ${sh(BASE + path)}` + Object.entries(body).map(([k, v]) => ` \\\n  -F ${sh(`${k}=${typeof v === 'string' ? v : JSON.stringify(v)}`)}`).join('');
  const text = typeof body === 'string' ? `--data-binary ${sh(body)}` : `-d ${sh(JSON.stringify(body))}`;
  return `${head} ${method === 'POST' ? '' : `-X ${method} `}${sh(BASE + path)} \\\n  -H 'Content-Type: ${type}' \\\n  ${text}`;
}

function example(title, text) {
  const pre = el('pre', { tabIndex: 0, textContent: text, 'aria-label': title }), button = el('button', { type: 'button', textContent: 'Copy' });
  button.addEventListener('click', async () => { $('status').textContent = await copyText(pre) ? 'Copied.' : 'Select the text and copy it with the keyboard.'; });
  return el('div', {}, el('div', { className: 'bar' }, el('span', { textContent: title }), button), pre);
}

function* examples(method, path, op, params) { // as the tests send them
  const query = op['x-query'] ? [op['x-query']] : params.filter(p => p.example !== undefined && p.in === 'query').map(p => `${p.name}=${encodeURIComponent(p.example)}`);
  const real = params.reduce((at, p) => p.in === 'path' ? at.replace(`{${p.name}}`, p.example) : at, path);
  const content = resolve(op.requestBody)?.content ?? {};
  for (const [type, media] of Object.entries(content))
    for (const [name, e] of Object.entries(media.examples ?? {}))
      yield example(`${e.summary ?? name}:`, curl(method, real + (e['x-query'] ? '?' + e['x-query'] : ''), type, e.value));
  if (method === 'GET' || method === 'DELETE') yield example('Example:', curl(method, real + (query.length ? `?${query.join('&')}` : '')));
}

function operation(method, path, shared, op) {
  const params = [...shared, ...op.parameters ?? []].map(resolve), box = el('details', { id: op.operationId });
  box.append(el('summary', {}, el('span', { className: 'method', textContent: method }), `${path}  `, el('span', { className: 'dim', textContent: op.summary })));
  if (op.description) box.append(el('p', { textContent: op.description }));
  box.append(...examples(method, path, op, params));
  if (params.length) box.append(el('h3', { textContent: 'Parameters' }), table(params.map(p => [el('span', {}, code(p.name), p['x-aliases'] ? ` (${p['x-aliases'].join(', ')})` : ''), words(p.schema), p.description ?? '']), 'name', 'value', 'meaning'));
  box.append(el('h3', { textContent: 'Replies' }), table(Object.entries(op.responses).map(([status, r]) => [status, `${resolve(r).description} ${Object.keys(resolve(r).content ?? {}).join(', ')}`]), 'status', 'what'));
  return box;
}

async function start() {
  themeButton();
  const reply = await fetch('openapi.json').catch(() => null);
  if (!reply?.ok) { $('status').textContent = 'The server does not answer. Load the page again.'; return; }
  api = await reply.json();
  const main = $('docs');
  main.append(el('p', { textContent: api.info.description }));
  for (const tag of api.tags) {
    main.append(el('h2', { textContent: tag.description ?? tag.name }));
    for (const [path, item] of Object.entries(api.paths))
      for (const method of ['get', 'put', 'post', 'delete'])
        if (item[method]?.tags?.includes(tag.name)) main.append(operation(method.toUpperCase(), path, item.parameters ?? [], item[method]));
  }
  const problems = api.components.schemas.Problem['x-types'];
  main.append(el('h2', { textContent: 'Problems' }), el('p', { textContent: 'Errors are application/problem+json (RFC 9457); the sentence in detail names the fix, pointer the parameter.' }),
    table(problems.map(p => [code(p.type), String(p.status), p.title]), 'type', 'status', 'title'));
  const open = () => { const d = location.hash && $(location.hash.slice(1)); if (d) { d.open = true; d.scrollIntoView(); } };
  (($('convolve')) ?? {}).open = true;
  open();
  addEventListener('hashchange', open);
  $('status').textContent = `${api.info.title} ${api.info.version}: OpenAPI ${api.openapi}`;
}
start();
