// The page in a real browser against the real daemon.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import { ask, close, daemon, door, go, launch, open, says, settle, text } from './browser.js';
import { npyRead, place, plan } from '../../server/web/lib.js';

const AXE = readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const FOLDER = mkdtempSync(join(tmpdir(), 'convolved-web-'));
let server;
before(async () => { server = await daemon(); await launch(); });
after(async () => { await close(); assert.equal(await server.stop(), 0); });

const started = async (hash = '', options) => {
  const page = await open(`${server.url}${hash && '#' + hash}`, options);
  await settle(page);
  return page;
};
const params = page => page.evaluate(() => document.getElementById('program').textContent);
const shownShape = async page => (await page.textContent('#product .d small')).match(/(\d+)×(\d+)×(\d+)/).slice(1).map(Number);
// Sends what the curl line says, as JSON, to a path.
const request = async page => JSON.parse(/-d '(.*)'/s.exec(await params(page))[1].replaceAll("'\\''", "'"));

test('the first load shows the textbook layer, says nothing on the console, asks no stranger, breaks no policy', async t => {
  const page = await started();
  t.diagnostic(`first result ${Math.round(await page.evaluate(() => globalThis.firstResult))} ms after the address was entered`);
  assert.match(await text(page, 'status'), /^96 maps of 55×55: convolved in/);
  assert.match(await text(page, 'product'), /96 × 363/);
  assert.match(await text(page, 'product'), /363 × 3025/);
  assert.deepEqual(await shownShape(page), [55, 55, 96]);
  assert.match(await text(page, 'formula'), /\(227 − 11 \+ 2·0\) \/ 4 \+ 1 = 55$/);
  assert.match(await text(page, 'cost'), /4\.2 MiB \(×7\.1 the input\)/);
  assert.match(await text(page, 'verdict'), /did without: its engine “swapped” takes each pixel .* to many filters at once, in \d/);
  assert.match(await text(page, 'eq'), /✓ equal, bit for bit$/);
  assert.equal(await page.locator('#maps [role=option]').count(), 96);
  assert.deepEqual(page.heard, []);
  await page.context().close();
});

test('the page weighs at most 100 KB, 30 KiB as it is sent', async () => {
  let raw = 0, sent = 0;
  for (const path of ['', 'ui/app.js', 'ui/lib.js', 'ui/views.js', 'ui/style.css', 'ui/icon.svg']) {
    const headers = { Accept: 'text/html', 'Accept-Encoding': 'gzip' };
    const body = await new Promise(done => http.get(server.url + path, { headers }, r => {
      assert.equal(r.statusCode, 200);
      assert.equal(r.headers['content-encoding'], 'gzip');
      const parts = [];
      r.on('data', d => parts.push(d)).on('end', () => done(Buffer.concat(parts)));
    }));
    sent += body.length;
    raw += zlib.gunzipSync(body).length;
  }
  assert.ok(raw <= 100e3 && sent <= 30 * 1024, `${raw} bytes raw, ${sent} as sent`);
});

const LAYERS = ['', 'stride=1&padding=5&size=100', 'size=228', 'size=64&stride=2', 'size=11', 'size=10', 'size=1', 'size=1&padding=5', 'weights=sobel_x&stride=1&size=33',
  'weights=sobel_x&stride=1&size=33&depth=depthwise', 'weights=box3&stride=1&size=20', 'weights=box3&stride=1&size=20&depth=full', 'weights=box3&stride=3&size=20&padding=1',
  'weights=gaussian5&stride=1&pad=same&size=31', 'weights=gaussian5&stride=2&pad=same&size=31', 'weights=gaussian5&stride=2&pad=same_lower&size=30', 'weights=haar4&stride=2&size=33',
  'weights=dct8&stride=8&size=64', 'weights=dct8&stride=8&size=60', 'weights=kirsch8&stride=1&size=16&dilation=2', 'weights=kirsch8&stride=1&size=16&dilation=8', 'weights=kirsch8&stride=1&size=16&dilation=7&padding=1',
  'weights=gabor&stride=1&size=40&g.size=7&g.orientations=3', 'weights=gabor&stride=1&size=12&g.size=13', 'weights=gabor&stride=1&size=12&g.size=13&pad=same', 'weights=gaussian&stride=1&g.size=9&size=32',
  'weights=motion&stride=2&g.size=5&size=32&padding=2&padding_mode=reflect', 'weights=random&size=32&out_channels=16&kernel_size=5&stride=1', 'weights=random&size=32&out_channels=6&kernel_size=3&groups=3&stride=1',
  'weights=random&size=32&out_channels=7&kernel_size=3&groups=3&stride=1', 'weights=random&size=32&out_channels=8&kernel_size=3&groups=2&stride=1', 'weights=random&size=4&kernel_size=5&stride=1', 'weights=random&size=4&kernel_size=5&stride=1&padding=1',
  'weights=random&size=5&kernel_size=3&padding=5&padding_mode=reflect&stride=1', 'weights=random&size=5&kernel_size=3&padding=4&padding_mode=reflect&stride=1', 'weights=random&size=5&kernel_size=3&padding=6&padding_mode=circular&stride=1',
  'weights=random&size=5&kernel_size=3&padding=9&padding_mode=replicate&stride=1', 'sample=tiny&size=8&weights=edges&stride=1&padding=1', 'sample=noise&size=50&weights=sobel_y&stride=1', 'sample=noise&size=50&weights=box5&stride=1&padding=2', 'sample=ramp&size=30'];

test('the shown dimensions are those that /plan returns, for 41 layers; impossible ones are refused by both', async () => {
  const page = await started();
  let refused = 0;
  for (const hash of LAYERS) {
    await go(page, hash);
    const problem = await text(page, 'problem'), { status, json } = await ask(server.url, 'plan', { ...await request(page), data: undefined });
    if (problem) {
      assert.equal(status, 422, `${hash}: the page says "${problem}", the server ${JSON.stringify(json)}`);
      refused++;
      continue;
    }
    assert.equal(status, 200, `${hash}: ${JSON.stringify(json)}`);
    const [, K, OH, OW] = json.output.shape, product = await text(page, 'product');
    assert.deepEqual(await shownShape(page), [OH, OW, K], hash);
    assert.match(await text(page, 'status'), new RegExp(`^${K} maps? of ${OW}×${OH}:`), hash);
    for (const [rows, columns] of [json.im2col.x_col, json.im2col.w_row]) assert.ok(product.includes(`${rows} × ${columns}`), `${hash}: ${product}`);
  }
  assert.equal(LAYERS.length, 41);
  assert.ok(refused >= 8, `${refused} refused`);
  assert.deepEqual(page.heard, []);
  await page.context().close();
});

test('fifty random cells of ten layers are what the server says', async () => {
  const page = await started();
  let seed = 12345, bits = 0;
  const dice = n => (seed = seed * 1103515245 + 12345 & 0x7fffffff) % n;
  for (const hash of ['', 'weights=sobel_x&stride=1&padding=1&depth=luma', 'weights=box3&stride=1&padding=1&padding_mode=reflect&size=40', 'weights=gaussian5&stride=2&pad=same&padding_mode=replicate&size=41',
    'weights=random&out_channels=6&kernel_size=3&groups=3&stride=1&padding=1&padding_mode=circular&size=30', 'weights=random&kernel_size=5&stride=2&dilation=2&padding=3&bias=0.7&activation=relu&size=50', 'weights=gabor&stride=1&padding=5&flip=1&size=64',
    'weights=relief&stride=1&padding=1&size=64', 'weights=unsharp5&stride=1&padding=2&normalize=1&activation=leaky_relu&size=64', 'sample=tiny&size=8&weights=random&kernel_size=3&stride=1&padding=1&activation=tanh&bias=-0.01']) {
    await go(page, hash);
    const columns = await page.evaluate(() => +document.getElementById('cell').max + 1), K = await page.locator('#maps [role=option]').count();
    for (let n = 0; n < 5; n++) {
      const [cell, k] = [dice(columns), dice(K)];
      await page.locator('#maps [role=option]').nth(k).click();
      await page.evaluate(v => { const e = document.getElementById('cell'); e.value = v; e.dispatchEvent(new Event('input')); }, cell);
      const eq = await text(page, 'eq');
      assert.match(eq, /✓ equal/, `${hash} cell ${cell} map ${k}: ${eq}`);
      assert.match(await text(page, 'd-c'), new RegExp(`^map ${k}, y ${Math.floor(cell / Math.sqrt(columns))},`));
      bits += /bit for bit/.test(eq);
    }
  }
  assert.ok(bits >= 45, `${bits} of 50 equal bit for bit`); // tanh may be rounded otherwise
  assert.deepEqual(page.heard, []);
  await page.context().close();
});

test('the copies that are counted are those in X_col', async () => {
  const page = await started('sample=tiny&size=8&weights=edges&stride=1&padding=1&padding_mode=replicate');
  const l = plan({ C: 3, H: 8, W: 8, K: 2, Fh: 3, Fw: 3, S: 1, P: 1, D: 1, groups: 1, pad: 'pixels', mode: 'replicate' });
  await page.check('#show-copies');
  for (const cell of [0, 9, 36, 63]) {
    await page.evaluate(v => { const e = document.getElementById('cell'); e.value = v; e.dispatchEvent(new Event('input')); }, cell);
    const [, c, y, x, times] = /holds channel (\d+), row (\d+), column (\d+), (\d+) times/.exec(await text(page, 'hot')).map(Number);
    let found = 0;
    for (let r = 0; r < l.rows; r++) for (let q = 0; q < l.cols; q++) { const p = place(l, r, q); found += p.c === c && p.y === y && p.x === x; }
    assert.equal(times, found);
  }
  await page.context().close();
});

test('pointing at a cell lights the weight in the editor and says where it comes from; clicking moves all views', async () => {
  const page = await started('sample=tiny&size=8&weights=edges&stride=1&padding=1&depth=full');
  await page.hover('#dot', { position: { x: 41, y: 30 } });
  await page.waitForFunction(() => document.getElementById('hot').textContent);
  assert.match(await text(page, 'hot'), /^Row 0 of X_col: channel 0, row 3, column 3, under the filter's row 0, column 0: 1 × −1 = −1/);
  assert.equal(await page.locator('#editor .hot').count(), 1);
  const click = async (id, x, y) => {
    const { width, height } = await page.locator(id).boundingBox();
    await page.locator(id).click({ position: { x: width * x, y: height * y } });
  };
  await click('#d', 1.5 / 8, 2.5 / 8);
  assert.match(await text(page, 'd-c'), /y 2, x 1/);
  assert.match(await text(page, 'a-c'), /rows 1…3, columns 0…2/);
  assert.match(await text(page, 'b-c'), /column 17/);
  assert.match(await text(page, 'probe'), /\(x 1, y 2\)/);
  await click('#a', 5.5 / 10, 6.5 / 10);
  assert.match(await text(page, 'd-c'), /y 5, x 4/);
  await click('#c', .01, .75);
  assert.match(await text(page, 'c-c'), /row 1$/);
  await page.context().close();
});

const run = (program, name, command, ...args) => {
  writeFileSync(join(FOLDER, name), program);
  return execFileSync(command, args, { cwd: FOLDER, encoding: 'utf8', timeout: 60000 });
};
const shapeIn = said => JSON.parse(/\[\s*\d+,\s*\d+,\s*\d+,\s*\d+\s*\]/.exec(said)[0]);

test('each program runs as it was copied and gets the shape that is shown', async () => {
  const page = await started('weights=gabor&stride=2&padding=3&activation=relu&bias=0.5&size=64');
  const [OH, OW, K] = await shownShape(page), want = [1, K, OH, OW];
  const take = async language => { await page.click(`[data-lang=${language}]`); return params(page); };
  assert.deepEqual(shapeIn(run(await take('curl'), 'a.sh', 'sh', 'a.sh')), want);
  assert.deepEqual(shapeIn(run(await take('javascript'), 'a.mjs', process.execPath, 'a.mjs')), want);
  assert.deepEqual(shapeIn(run(await take('python'), 'a.py', 'python3', 'a.py')), want);
  run(await take('c'), 'layer.c', 'cc', '-Wall', '-Werror', 'layer.c', '-lcurl', '-o', 'layer');
  assert.deepEqual(shapeIn(execFileSync('./layer', { cwd: FOLDER, encoding: 'utf8' })), want);
  await page.selectOption('#answer', 'npy');
  for (const [language, name, command] of [['curl', 'b.sh', 'sh'], ['javascript', 'b.mjs', process.execPath], ['python', 'b.py', 'python3']]) {
    run(await take(language), name, command, name);
    const file = readFileSync(join(FOLDER, 'maps.npy'));
    assert.deepEqual(npyRead(file.buffer.slice(file.byteOffset, file.byteOffset + file.length)).shape, want, language);
  }
  await page.context().close();
});

test('a long request reads params.json, and an own picture is sent by the programs too', async () => {
  const page = await started('stride=2&size=40');
  await page.fill('#editor input >> nth=0', '1');
  await says(page, 'program', /@params\.json/);
  await settle(page);
  const saved = await Promise.all([page.waitForEvent('download'), page.click('#json')]);
  await saved[0].saveAs(join(FOLDER, 'params.json'));
  const [OH, OW, K] = await shownShape(page);
  assert.deepEqual(shapeIn(run(await params(page), 'c.sh', 'sh', 'c.sh')), [1, K, OH, OW]);
  const cat = Buffer.from(await (await fetch(server.url + 'samples/cat?size=50')).arrayBuffer());
  writeFileSync(join(FOLDER, "it's a cat.png"), cat);
  await page.click('[data-try=blur]');
  await page.setInputFiles('#image', join(FOLDER, "it's a cat.png"));
  await says(page, 'status', /50×50/);
  for (const [language, name, command] of [['curl', 'd.sh', 'sh'], ['javascript', 'd.mjs', process.execPath], ['python', 'd.py', 'python3']]) {
    await page.click(`[data-lang=${language}]`);
    assert.deepEqual(shapeIn(run(await params(page), name, command, name)), [1, 3, 50, 50], language);
  }
  assert.deepEqual(page.heard, []);
  await page.context().close();
});

test('the npy download is the raw body with a header; PNG, 16-bit PNG and params.json are what they say', async () => {
  const page = await started('weights=kirsch8&stride=1&padding=1&size=32');
  const get = async id => { const [d] = await Promise.all([page.waitForEvent('download'), page.click('#' + id)]); return readFileSync(await d.path()); };
  const npy = await get('npy'), body = { ...await request(page), format: 'raw', data: undefined };
  const raw = Buffer.from(await (await fetch(server.url + 'convolve', { method: 'POST', body: JSON.stringify(body) })).arrayBuffer());
  assert.deepEqual(npy.subarray(npy.length - raw.length), raw);
  assert.deepEqual(npyRead(npy.buffer.slice(npy.byteOffset, npy.byteOffset + npy.length)).shape, [1, 8, 32, 32]);
  const [png, deep] = [await get('png'), await get('png16')];
  assert.equal(png.subarray(1, 4).toString() + deep.subarray(1, 4).toString(), 'PNGPNG');
  assert.deepEqual([png[24], deep[24]], [8, 16]); // IHDR: the depth
  const { format, data, ...plain } = body;
  assert.deepEqual(JSON.parse(await get('json')), plain);
  assert.deepEqual([format, data], ['raw', undefined]);
  await page.context().close();
});

test('a link restores the state, own filters included; Back goes back; a hostile link changes nothing', async () => {
  const page = await started();
  await page.click('[data-try=edges]');
  await settle(page);
  await page.selectOption('#activation', 'relu');
  await page.fill('#stride', '2');
  await page.selectOption('#range', 'possible');
  await settle(page);
  await page.locator('#maps [role=option]').nth(3).click();
  const link = page.url(), before = await text(page, 'product');
  const other = await open(link);
  await settle(other);
  assert.equal(await text(other, 'product'), before);
  assert.equal(await other.inputValue('#activation'), 'relu');
  assert.equal(await other.inputValue('#range'), 'possible');
  assert.match(await text(other, 'd-c'), /^map 3,/);
  assert.equal(other.url(), link);
  await other.goBack().catch(() => {});
  await page.goBack();
  await settle(page);
  assert.deepEqual(await shownShape(page), [55, 55, 96]);
  await go(page, 'size=99999&stride=-1&weights=<img src=x onerror=alert(1)>&sample=../../etc&bias=1e99&cell=77777777&k=65000&zoom=64&w=1x1x9999x1:1');
  assert.match(await text(page, 'status'), /^96 maps of 55×55/);
  await page.fill('#editor input >> nth=0', '0.5');
  await go(page, 'weights=custom&stride=1&padding=1&size=20&w=f1x1x3x3:0,1,0,1,-4,1,0,1,0');
  assert.deepEqual(await page.locator('#editor input').evaluateAll(e => e.map(x => +x.value)), [0, 1, 0, 1, -4, 1, 0, 1, 0]);
  assert.match(await text(page, 'eq'), /✓ equal/);
  assert.deepEqual([...page.heard, ...other.heard], []);
  await page.context().close();
  await other.context().close();
});

test('the last edit wins against a slow answer to an earlier one', async () => {
  const page = await started(), slow = door(), asked = door();
  await page.route('**/convolve', async route => {
    if (/"stride":3/.test(route.request().postData())) {
      asked.open();
      await slow.opened;
    }
    await route.continue().catch(() => {}); // the page has hung up
  });
  await page.fill('#stride', '3');
  await asked.opened;
  await page.fill('#stride', '8');
  await says(page, 'status', /^96 maps of 28×28/);
  slow.open();
  await page.waitForTimeout(300); // nothing may happen now
  assert.match(await text(page, 'status'), /^96 maps of 28×28/);
  assert.deepEqual(await shownShape(page), [28, 28, 96]);
  await page.context().close();
});

test('a slow answer shows that it is slow and can be cancelled', async () => {
  const page = await started(), slow = door();
  await page.route('**/convolve', async route => { await slow.opened; await route.continue().catch(() => {}); });
  await page.fill('#stride', '5');
  await page.waitForSelector('#cancel', { state: 'visible' });
  assert.equal(await page.getAttribute('#results', 'aria-busy'), 'true');
  await page.click('#cancel');
  assert.equal(await text(page, 'status'), 'Cancelled.');
  assert.equal(await page.getAttribute('#results', 'aria-busy'), 'false');
  slow.open();
  await page.click('#run');
  await says(page, 'status', /^96 maps of 44×44/);
  await page.context().close();
});

test('a daemon that is killed and started again is found again', async () => {
  const first = await daemon(), port = new URL(first.url).port, page = await open(first.url);
  await settle(page);
  await first.stop('SIGKILL');
  await page.fill('#stride', '5');
  await says(page, 'problem', /does not answer/);
  const second = await daemon('--listen', `127.0.0.1:${port}`);
  await says(page, 'status', /^96 maps of 44×44/);
  assert.equal(await text(page, 'problem'), '');
  await page.context().close();
  await second.stop();
});

test('413 says the limit, 422 stands at its field, 503 says when it tries again and does', async () => {
  const small = await daemon('--max-macs', '50000000'), page = await open(small.url);
  await settle(page);
  assert.match(await text(page, 'problem'), /multiply-adds.* 50000000/);
  assert.match(await text(page, 'status'), /limit/);
  await page.fill('#stride', '8');
  await says(page, 'status', /^96 maps of 28×28/);
  const { status, json } = await ask(small.url, 'convolve', { image: { sample: 'tiny' }, weights: 'sobel_x', stride: 9, padding: 1, strict: true });
  assert.equal(status, 422);
  await page.route('**/convolve', route => route.fulfill({ status, contentType: 'application/problem+json', body: JSON.stringify(json) }));
  await page.fill('#stride', '9');
  await page.waitForFunction(() => document.getElementById('problem').textContent);
  assert.equal(await text(page, 'problem'), json.detail);
  assert.equal(await page.getAttribute('#stride', 'aria-invalid'), 'true');
  assert.ok(await page.evaluate(() => document.getElementById('stride').closest('fieldset').contains(document.getElementById('problem'))));
  await page.unroute('**/convolve');
  let busy = 1; // input and weights are kept: only the maps are asked for
  await page.route('**/convolve', route => busy-- > 0 ? route.fulfill({ status: 503, headers: { 'Retry-After': '1' }, contentType: 'application/problem+json', body: '{"detail":"every worker is busy"}' }) : route.continue());
  await page.fill('#stride', '7');
  await says(page, 'problem', /every worker is busy Trying again in 1 s/);
  await says(page, 'status', /^96 maps of 31×31/);
  await page.context().close();
  await small.stop();
});

test('what a form field cannot hold is said at once, at the field', async () => {
  const page = await started();
  await page.fill('#stride', '0');
  await settle(page);
  assert.match(await text(page, 'problem'), /^S stride: /);
  assert.equal(await page.getAttribute('#stride', 'aria-invalid'), 'true');
  await page.fill('#stride', '4');
  await page.waitForFunction(() => document.body.dataset.shown);
  assert.equal(await page.getAttribute('#stride', 'aria-invalid'), null);
  await page.fill('#size', '5');
  await settle(page);
  assert.match(await text(page, 'problem'), /Raise the padding to 3/);
  await page.context().close();
});

test('work that is too much for every change waits for Run', async () => {
  const page = await started('size=1024&stride=1&padding=5');
  assert.match(await text(page, 'much'), /MFLOP, 384\.0 MiB of maps/);
  await go(page, 'size=800&weights=kirsch8&stride=1&padding=1');
  await page.click('#run');
  await page.waitForFunction(() => document.body.dataset.shown);
  assert.match(await text(page, 'status'), /^8 maps of 800×800/);
  await page.context().close();
});

test('own pictures: large ones are scaled and can be run whole, WebP becomes PNG, drop and paste work', async () => {
  const page = await started('weights=box3&stride=1&padding=1'), send = page.context().request;
  const cat = await (await send.get(server.url + 'samples/cat?size=600')).body();
  writeFileSync(join(FOLDER, 'large.png'), cat);
  await page.setInputFiles('#image', join(FOLDER, 'large.png'));
  await says(page, 'status', /^3 maps of 512×512/);
  assert.match(await text(page, 'using'), /Using 512×512 of 600×600, large\.png\./);
  assert.match(await params(page), /image=@large-512x512\.png/);
  await page.click('#full');
  await says(page, 'status', /^3 maps of 600×600/);
  const drop = (type, kind) => page.evaluate(async ([type, kind]) => {
    const c = new OffscreenCanvas(20, 10);
    c.getContext('2d').fillRect(3, 3, 5, 5);
    const data = new DataTransfer();
    data.items.add(new File([await c.convertToBlob({ type })], 'small.webp', { type }));
    dispatchEvent(kind === 'drop' ? new DragEvent('drop', { dataTransfer: data }) : new ClipboardEvent('paste', { clipboardData: data }));
  }, [type, kind]);
  await drop('image/webp', 'drop');
  await says(page, 'status', /20×10/);
  assert.match(await text(page, 'using'), /your browser made a PNG of it/);
  assert.match(await text(page, 'eq'), /✓ equal/);
  await page.selectOption('#sample', 'noise');
  await page.waitForFunction(() => document.getElementById('used').hidden && document.body.dataset.shown);
  await drop('image/png', 'paste');
  await says(page, 'status', /20×10/);
  await page.setInputFiles('#image', { name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
  await says(page, 'problem', /cannot read no\.png/);
  assert.deepEqual(page.heard, []);
  await page.context().close();
});

test('filters of one\'s own: a cell, pasted rows, an npy file; flip and normalise', async () => {
  const page = await started('sample=impulse&size=9&weights=sobel_x&stride=1&padding=1');
  await page.fill('#editor input >> nth=4', '7');
  await page.waitForFunction(() => document.getElementById('weights').value === 'custom' && document.body.dataset.shown);
  assert.equal(await page.inputValue('#depth'), 'luma');
  assert.match(await text(page, 'd-c'), /: 1785$/); // 255 times 7, in the middle
  await page.click('summary');
  await page.fill('#matrix', '0 0 0 0 1\n0 0 0 0 0\n0 0 0 0 0\n0 0 0 0 0\n0 0 0 0 1');
  await page.click('#use-matrix');
  await says(page, 'status', /^1 map of 7×7/);
  await page.check('#normalize');
  await page.check('#flip');
  await settle(page);
  assert.match(await params(page), /"flip":true,"normalize":true/);
  assert.match(await text(page, 'eq'), /✓ equal/);
  await page.fill('#matrix', 'one two');
  await page.click('#use-matrix');
  assert.match(await text(page, 'problem'), /rows of numbers/);
  const npy = Buffer.concat([Buffer.from('\x93NUMPY\x01\x00\x76\x00', 'latin1'), Buffer.from("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 2, 2), }".padEnd(117) + '\n'), Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer)]);
  await page.setInputFiles('#npz', { name: 'w.npy', mimeType: 'application/octet-stream', buffer: npy });
  await says(page, 'status', /^2 maps of 10×10/);
  assert.match(await text(page, 'eq'), /✓ equal/);
  await page.selectOption('#sample', 'cat');
  await settle(page);
  assert.match(await text(page, 'problem'), /not for 3 channels/);
  await page.context().close();
});

test('the large map: colours, ranges, comparing, zoom, the number under the cursor', async () => {
  const page = await started('sample=tiny&size=8&weights=edges&stride=1&padding=1&depth=full');
  assert.equal(await text(page, 'zoom'), 'fit');
  await page.selectOption('#other', '1');
  assert.match(await text(page, 'map2-c'), /Map 1, same range/);
  assert.match(await text(page, 'probe'), /map 0 .*, map 1/);
  for (const [range, want] of [['minmax', /^-?−65/], ['clip', /^0/], ['possible', /^−3060$/]]) {
    await page.selectOption('#range', range);
    assert.match(await text(page, 'lo'), want, range);
  }
  assert.match(await text(page, 'clip'), /nothing clipped/);
  await page.selectOption('#cmap', 'viridis');
  const before = await page.locator('#map').boundingBox();
  await page.click('#in');
  assert.match(await text(page, 'zoom'), /64×/);
  await page.click('#out');
  await page.click('#out');
  assert.ok((await page.locator('#map').boundingBox()).width <= before.width);
  await page.hover('#map', { position: { x: 1, y: 1 } });
  assert.match(await text(page, 'probe'), /\(x 0, y 0\) = 12/);
  assert.deepEqual(page.heard, []);
  await page.context().close();
});

// What axe says of the page as it is; injected once, by hand: the policy blocks script tags.
async function violations(page) {
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(AXE);
  return page.evaluate(async tags => (await globalThis.axe.run({ runOnly: tags, resultTypes: ['violations'] })).violations
    .map(v => `${v.id}: ${v.nodes.map(n => n.html).join(' ')}`), ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']);
}

const LOOKS = { light: page => page.emulateMedia({ colorScheme: 'light' }), dark: page => page.emulateMedia({ colorScheme: 'dark' }),
  phone: page => page.setViewportSize({ width: 320, height: 640 }) };

test('axe finds nothing: light, dark, on a phone, with an error', async () => {
  const page = await started('weights=kirsch8&stride=1&padding=1&size=64&other=2');
  for (const padding of ['1', '999']) {
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.fill('#padding', padding);
    await settle(page);
    for (const [name, look] of Object.entries(LOOKS)) {
      await look(page);
      assert.deepEqual(await violations(page), [], `${name}, padding ${padding}`);
    }
  }
  await page.context().close();
});

test('axe finds nothing in /docs: light, dark, on a phone', async () => {
  const page = await open(server.url + 'docs');
  await page.waitForSelector('details');
  for (const [name, look] of Object.entries(LOOKS)) {
    await look(page);
    assert.deepEqual(await violations(page), [], name);
  }
  await page.context().close();
});

test('at 320 pixels nothing stands outside its box and nothing scrolls sideways', async () => {
  const page = await started('', { viewport: { width: 320, height: 640 } });
  for (const hash of ['', 'weights=gabor&stride=1&padding=5&size=64', 'sample=tiny&size=8&weights=edges&stride=1&padding=1']) {
    await go(page, hash);
    const outside = await page.evaluate(() => {
      const bad = [];
      if (document.documentElement.scrollWidth > 320) bad.push(`the page is ${document.documentElement.scrollWidth} wide`);
      for (const box of document.querySelectorAll('fieldset, section')) {
        const b = box.getBoundingClientRect();
        for (const e of box.querySelectorAll('*')) {
          const r = e.getBoundingClientRect();
          if (r.width && (r.right > b.right + 1 || r.left < b.left - 1) && !e.closest('#editor, pre, .button')) bad.push(`${e.tagName}#${e.id} in ${box.textContent.slice(0, 20)}`);
        }
      }
      for (const e of document.querySelectorAll('button, select, input:not([type=file]):not([type=checkbox]), summary')) {
        const r = e.getBoundingClientRect();
        if (r.width && (r.height < 24 || r.width < 24)) bad.push(`small: ${e.tagName}#${e.id} ${r.width}×${r.height}`);
      }
      return bad;
    });
    assert.deepEqual(outside, [], hash);
  }
  await page.context().close();
});

test('by keyboard alone: from load to a copied curl line', async () => {
  const page = await started('', { permissions: ['clipboard-read', 'clipboard-write'] });
  const to = async id => {
    for (let n = 0; n < 400; n++) {
      if (await page.evaluate(i => document.activeElement.id === i || document.activeElement.dataset.try === i, id)) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`${id} is not reached`);
  };
  await page.keyboard.press('Tab');
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Skip/);
  await to('tiny');
  await page.keyboard.press('Enter');
  await says(page, 'status', /^2 maps of 8×8/);
  await to('map');
  for (const key of ['ArrowRight', 'ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
  assert.match(await text(page, 'probe'), /\(x 5, y 6\)/);
  await page.keyboard.press('+');
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowRight'); // the list of maps
  assert.match(await text(page, 'd-c'), /^map 1, y 6, x 5/);
  await to('d');
  await page.keyboard.press('ArrowLeft');
  assert.match(await text(page, 'd-c'), /^map 1, y 6, x 4/);
  await to('dot');
  await page.keyboard.press('ArrowRight');
  await says(page, 'hot', /^Row 0 of X_col/);
  await to('copy');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('status').textContent === 'Copied the program.');
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, await params(page));
  assert.deepEqual(shapeIn(run(copied, 'k.sh', 'sh', 'k.sh')), [1, 2, 8, 8]);
  await page.context().close();
});

test('on plain http in a network, without a clipboard, it copies all the same', async () => {
  const lan = await daemon('--allowed-hosts', 'lan.test'), page = await open(lan.url.replace('127.0.0.1', 'lan.test'));
  await settle(page);
  assert.equal(await page.evaluate(() => isSecureContext || typeof navigator.clipboard), 'undefined');
  await page.click('#copy');
  await says(page, 'status', /^Copied|Select the text/);
  assert.equal(await page.evaluate(() => getSelection().toString().trim()), (await params(page)).trim());
  assert.match(await params(page), /'http:\/\/lan\.test:\d+\/convolve'/);
  assert.deepEqual(page.heard, []);
  await page.context().close();
  await lan.stop();
});

test('behind a path prefix it works, and its programs name the prefix', async () => {
  const proxy = http.createServer((request, reply) => {
    if (!request.url.startsWith('/a/b/')) return reply.writeHead(404).end();
    const on = http.request(server.url + request.url.slice(5), { method: request.method, headers: { ...request.headers, host: new URL(server.url).host } },
      r => { reply.writeHead(r.statusCode, r.headers); r.pipe(reply); });
    request.pipe(on);
  });
  await new Promise(done => { proxy.listen(0, '127.0.0.1', done); });
  const base = `http://127.0.0.1:${proxy.address().port}/a/b/`, page = await open(base);
  await settle(page);
  assert.match(await text(page, 'status'), /^96 maps/);
  assert.ok((await params(page)).includes(`'${base}convolve'`));
  await page.click('nav >> text=API');
  await page.waitForSelector('details');
  assert.ok((await page.textContent('main')).includes(`'${base}convolve'`));
  assert.deepEqual(page.heard, []);
  await page.context().close();
  proxy.close();
});

test('/docs shows every operation, parameter, limit and problem of the document', async () => {
  const page = await open(server.url + 'docs'), api = await (await fetch(server.url + 'openapi.json')).json();
  await page.waitForSelector('details');
  const said = await page.textContent('main');
  for (const [path, item] of Object.entries(api.paths))
    for (const method of ['get', 'post'])
      if (item[method]) assert.ok(await page.locator(`#${item[method].operationId}`).count(), `${method} ${path}`);
  for (const name of Object.keys(api.components.parameters)) assert.ok(said.includes(name), name);
  for (const { type } of api.components.schemas.Problem['x-types']) assert.ok(said.includes(type), type);
  assert.match(said, /integer 1 to 4 096/);
  const commands = await page.locator('#convolve pre').allTextContents();
  assert.deepEqual(shapeIn(run(commands[0], 'docs.sh', 'sh', 'docs.sh')), [1, 96, 55, 55]);
  assert.deepEqual(page.heard, []);
  await page.context().close();
});
