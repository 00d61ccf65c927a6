// The Open Inference Protocol from JavaScript's fetch, written from the protocol's text alone.
// usage: node tests/http/oip_client.mjs build/release/convolved; ends with "N passed, N failed".
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';

const infer = '/v2/models/conv2d/infer';
let daemon, url;
let passed = 0, failed = 0;

// Starts the daemon on a free port; its first line says which.
before(async () => {
  daemon = spawn(process.argv[2], ['--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  url = await new Promise((resolve, reject) => {
    let said = '';
    daemon.once('exit', () => reject(new Error(`the daemon did not start: ${said}`)));
    daemon.stdout.on('data', chunk => {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said += chunk);
      if (found) resolve(found[0]);
    });
  });
});

after(() => {
  daemon.removeAllListeners('exit');
  daemon.kill();
  console.log(`${passed} passed, ${failed} failed`);
});

function says(sentence, body) {
  test(sentence, async () => {
    try {
      await body();
      passed++;
    } catch (error) {
      failed++;
      throw error;
    }
  });
}

// --- the client ----------------------------------------------------------------------------------

const fp32 = (name, shape, data) => ({ name, shape, datatype: 'FP32', data });

// Inputs whose data is a typed array (or bytes) travel in binary.
function binaryBody(request) {
  const tensors = request.inputs.map(input => new Uint8Array(input.data.buffer, input.data.byteOffset, input.data.byteLength));
  const head = new TextEncoder().encode(JSON.stringify({
    ...request,
    inputs: request.inputs.map(({ data, ...input }) => ({ ...input, parameters: { binary_data_size: data.byteLength } })),
  }));
  return { body: Buffer.concat([head, ...tensors]), length: head.length };
}

// A reply's outputs by name, each with its floats, whichever way they came.
async function outputs(response) {
  assert.equal(response.status, 200, response.status === 200 ? '' : await response.clone().text());
  const bytes = await response.arrayBuffer();
  const length = response.headers.get('inference-header-content-length');
  const head = JSON.parse(new TextDecoder().decode(bytes.slice(0, length === null ? undefined : Number(length))));
  let at = Number(length);
  for (const output of head.outputs) {
    const size = output.parameters?.binary_data_size;
    if (size === undefined) continue;
    output.data = [...new Float32Array(bytes, at, size / 4)]; // throws unless aligned
    at += size;
  }
  if (length !== null) assert.equal(at, bytes.byteLength);
  return { ...head, by: Object.fromEntries(head.outputs.map(output => [output.name, output])) };
}

const post = (body, headers = {}, path = infer) => fetch(url + path, { method: 'POST', body, headers });
const X = fp32('X', [1, 1, 2, 2], [1, 2, 3, 4]), W = fp32('W', [1, 1, 1, 1], [2]), B = fp32('B', [1], [0.5]);

// --- what it finds -------------------------------------------------------------------------------

says('server and model say who they are', async () => {
  for (const path of ['/v2', '/v2/']) {
    const server = await (await fetch(url + path)).json();
    assert.equal(server.name, 'convolved');
    assert(server.extensions.includes('binary_tensor_data'));
  }
  for (const path of ['/v2/health/live', '/v2/health/ready', '/v2/models/conv2d/ready'])
    assert.equal((await fetch(url + path)).status, 200);
  const model = await (await fetch(url + '/v2/models/conv2d/versions/1')).json();
  assert.deepEqual(model.inputs.map(input => input.name), ['X', 'IMAGE', 'W', 'B']);
  assert.deepEqual(model.outputs.map(output => output.name), ['Y', 'X_COL']);
});

says('JSON goes in and comes out, with the id', async () => {
  const reply = await outputs(await post(JSON.stringify({ id: 'ü"1', inputs: [X, W, B] })));
  assert.equal(reply.id, 'ü"1');
  assert.deepEqual(reply.by.Y.shape, [1, 1, 2, 2]);
  assert.deepEqual(reply.by.Y.data, [2.5, 4.5, 6.5, 8.5]);
});

says('nested data and attributes as strings are understood', async () => {
  const reply = await outputs(await post(JSON.stringify({
    inputs: [fp32('X', [1, 1, 2, 2], [[[[1, 2], [3, 4]]]]), W],
    parameters: { strides: '2,2', pads: '1,1,0,0', group: 1 },
  })));
  assert.deepEqual(reply.by.Y.data, [0, 0, 0, 8]);
  assert.deepEqual(reply.by.Y.shape, [1, 1, 2, 2]);
});

says('binary goes in and comes out, with the header in any case', async () => {
  const { body, length } = binaryBody({
    inputs: [fp32('X', [1, 1, 2, 2], Float32Array.of(1, 2, 3, 4)), fp32('W', [1, 1, 1, 1], Float32Array.of(-2))],
    outputs: [{ name: 'X_COL' }, { name: 'Y', parameters: { binary_data: true } }],
  });
  for (const name of ['inference-header-content-length', 'Inference-Header-Content-Length', 'INFERENCE-HEADER-CONTENT-LENGTH']) {
    const reply = await outputs(await post(body, { [name]: String(length) }));
    assert.deepEqual(reply.by.Y.data, [-2, -4, -6, -8]);
    assert.equal(reply.by.Y.parameters.binary_data_size, 16);
    assert.deepEqual(reply.by.X_COL.data, [1, 2, 3, 4]);
  }
});

says('pixels of eight bits and floats of sixteen are understood', async () => {
  for (const [datatype, data] of [['UINT8', Uint8Array.of(1, 2, 3, 255)], ['FP16', Uint16Array.of(0x3c00, 0x4000, 0x4200, 0x5bf8)]]) {
    const { body, length } = binaryBody({
      inputs: [{ ...X, datatype, data }, fp32('W', [1, 1, 1, 1], Float32Array.of(1))],
      parameters: { binary_data_output: true },
    });
    const reply = await outputs(await post(body, { 'inference-header-content-length': String(length) }));
    assert.deepEqual(reply.by.Y.data, [1, 2, 3, 255]);
  }
});

says('a picture is an element of BYTES, or the whole body', async () => {
  const photo = await readFile('tests/cases/pictures/cat-451x300.png');
  const element = Buffer.alloc(4 + photo.length);
  element.writeUInt32LE(photo.length);
  photo.copy(element, 4);
  const { body, length } = binaryBody({
    inputs: [{ name: 'IMAGE', shape: [1], datatype: 'BYTES', data: element }],
    parameters: { weights: 'gaussian5', binary_data_output: true },
  });
  const first = await outputs(await post(body, { 'inference-header-content-length': String(length) }));
  const second = await outputs(await post(photo, { 'inference-header-content-length': '0' }, infer + '?weights=gaussian5'));
  assert.deepEqual(first.by.Y.shape, [1, 3, 300, 451]);
  assert.deepEqual(second.by.Y.data, first.by.Y.data);
});

says('a gzipped request is the same request', async () => {
  const reply = await outputs(await post(gzipSync(JSON.stringify({ inputs: [X, W] })), { 'content-encoding': 'gzip' }));
  assert.deepEqual(reply.by.Y.data, [2, 4, 6, 8]);
  const { body, length } = binaryBody({ inputs: [fp32('X', [1, 1, 1, 1], Float32Array.of(3)), fp32('W', [1, 1, 1, 1], Float32Array.of(7))] });
  const both = await outputs(await post(gzipSync(body), { 'content-encoding': 'gzip', 'inference-header-content-length': String(length) }));
  assert.deepEqual(both.by.Y.data, [21]);
});

says('what cannot be done is an error with a sentence', async () => {
  for (const [path, body, status] of [
    [infer, JSON.stringify({ inputs: [X] }), 400],
    [infer, '{"inputs":', 400],
    [infer, JSON.stringify({ inputs: [X, { ...W, shape: [1, 1, 5, 5], data: Array(25).fill(1) }] }), 422],
    ['/v2/models/resnet50/infer', '{}', 404],
  ]) {
    const response = await post(body, {}, path);
    assert.equal(response.status, status);
    assert((await response.json()).error.length > 20);
  }
});
