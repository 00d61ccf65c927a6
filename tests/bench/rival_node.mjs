// The rival of bench_http: node:http, sharp and onnxruntime-node serving the textbook layer, 96
// filters of 11x11 at stride 4 on 227x227x3. POST /weights first (float32), then a picture file to
// /json or /raw.
import { createServer } from 'node:http';
import ort from 'onnxruntime-node';
import sharp from 'sharp';

const SIZE = 227, MAPS = 96;

// Protobuf, as much as one Conv node needs: a field is its number and a number, text or bytes.
const varint = n => n < 128 ? [n] : [n & 127 | 128, ...varint(Math.floor(n / 128))];
const number = (field, n) => Buffer.from([...varint(field * 8), ...varint(n)]);
const bytes = (field, ...parts) => {
  const data = Buffer.concat(parts.map(part => Buffer.from(part)));
  return Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(data.length)]), data]);
};
const ints = (name, values) => bytes(5, bytes(1, name), ...values.map(n => number(8, n)), number(20, 7));
const value = (field, name, shape) => bytes(field, bytes(1, name), bytes(2, bytes(1, number(1, 1),
  bytes(2, ...shape.map(n => bytes(1, number(1, n)))))));

function model(weights) {
  const conv = bytes(1, bytes(1, 'X'), bytes(1, 'W'), bytes(2, 'Y'), bytes(4, 'Conv'),
    ints('strides', [4, 4]), ints('kernel_shape', [11, 11]));
  const filters = bytes(5, ...[MAPS, 3, 11, 11].map(n => number(1, n)), number(2, 1), bytes(8, 'W'), bytes(9, weights));
  return Buffer.concat([number(1, 8), bytes(7, conv, bytes(2, 'layer'), filters,
    value(11, 'X', [1, 3, SIZE, SIZE]), value(12, 'Y', [1, MAPS, 55, 55])), bytes(8, number(2, 13))]);
}

let session;

async function convolve(file) {
  const pixels = await sharp(file).removeAlpha().raw().toBuffer();
  const planes = new Float32Array(3 * SIZE * SIZE);
  for (let i = 0; i < SIZE * SIZE; i++)
    for (let c = 0; c < 3; c++) planes[c * SIZE * SIZE + i] = pixels[i * 3 + c];
  return (await session.run({ X: new ort.Tensor('float32', planes, [1, 3, SIZE, SIZE]) })).Y;
}

async function answer(path, body) {
  if (path === '/weights') {
    session = await ort.InferenceSession.create(model(body));
    return 'ready';
  }
  const y = await convolve(body);
  if (path === '/raw') return Buffer.from(y.data.buffer, y.data.byteOffset, y.data.byteLength);
  return JSON.stringify({ shape: y.dims, data: Array.from(y.data) });
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', chunk => chunks.push(chunk));
  request.on('end', async () => {
    try {
      const body = Buffer.from(await answer(request.url, Buffer.concat(chunks)));
      response.writeHead(200, { 'Content-Length': body.length }).end(body);
    } catch (error) {
      const body = String(error);
      response.writeHead(500, { 'Content-Length': Buffer.byteLength(body) }).end(body);
    }
  });
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
