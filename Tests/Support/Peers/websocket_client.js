// Runs every scenario as a client of the WebSocket server at ws://127.0.0.1:PORT and prints, line by line, what came of
// each: {"scenario": ..., "result": ...}. The library is `ws`, found by NODE_PATH.
'use strict';
const WebSocket = require('ws');
const url = 'ws://127.0.0.1:' + process.argv[2];
const lengths = [0, 1, 125, 126, 127, 65535, 65536, 300000];

function open(path, perMessageDeflate = false) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url + path, { perMessageDeflate });
    socket.arrived = [];
    socket.taker = null;
    socket.ended = new Promise((end) => {
      socket.on('close', (code, reason) => {
        end(`${code} ${reason}`.trim());
        if (socket.taker) socket.taker.reject(new Error(`closed with ${code}`));
      });
    });
    socket.on('message', (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      if (!socket.taker) return socket.arrived.push(message);
      const taker = socket.taker;
      socket.taker = null;
      taker.resolve(message);
    });
    socket.on('upgrade', (response) => { socket.answer = response.headers['sec-websocket-extensions'] || 'none'; });
    socket.on('open', () => resolve(socket));
    socket.on('error', reject);
  });
}

function next(socket) {
  if (socket.arrived.length) return Promise.resolve(socket.arrived.shift());
  return new Promise((resolve, reject) => { socket.taker = { resolve, reject }; });
}

async function echo(path = '/echo', deflate = false) {
  const socket = await open(path, deflate && { threshold: 0, ...deflate });
  for (const length of lengths) {
    const bytes = Buffer.from(Array.from({ length }, (_, i) => i * 31 & 255));
    socket.send(bytes);
    const back = await next(socket);
    if (!Buffer.isBuffer(back) || !bytes.equals(back)) return `other bytes came back for ${length}`;
    const text = 'grüß dich, 世界 '.repeat(length).slice(0, length);
    socket.send(text);
    if (await next(socket) !== text) return `another text came back for ${length}`;
  }
  socket.terminate();
  return deflate ? socket.answer : 'same';
}

async function fragments() {
  const socket = await open('/echo');
  const pong = new Promise((resolve) => socket.on('pong', (data) => resolve(data.toString())));
  socket.send('frag', { fin: false });
  socket.ping('between');
  socket.send('men', { fin: false });
  socket.send('', { fin: false });
  socket.send('ted', { fin: true });
  const text = await next(socket);
  const result = `${text}, ${await pong === 'between' ? 'pong' : 'another pong'}`;
  socket.terminate();
  return result;
}

async function receive(path) {
  const socket = await open(path);
  const text = await next(socket);
  socket.terminate();
  return text;
}

async function close() {
  const socket = await open('/ends');
  socket.close(3001, 'bye');
  return socket.ended;
}

async function sends(path, action) {
  const socket = await open(path);
  action(socket);
  return socket.ended;
}

const raw = (...octets) => (socket) => socket._socket.write(Buffer.from(octets));

async function bomb() {
  const socket = await open('/small-deflate', { threshold: 0 });
  socket.send('x'.repeat(10000000));
  return socket.ended;
}

const scenarios = {
  'echo': () => echo(),
  'fragments sent': fragments,
  'fragments received': () => receive('/fragments'),
  'close': close,
  'close by server': () => sends('/close', () => {}),
  'close without code': () => sends('/close-empty', () => {}),
  'invalid UTF-8': () => sends('/echo', (s) => s.send(Buffer.from([97, 98, 0xc3, 0x28]), { binary: false })),
  'invalid UTF-8 in fragments': () => sends('/echo', (s) => {
    s.send(Buffer.from([0xce]), { binary: false, fin: false });
    s.send(Buffer.from([0xba, 0xff]), { binary: false, fin: true });
  }),
  'oversize': () => sends('/small', (s) => s.send(Buffer.alloc(70000))),
  'oversize in fragments': () => sends('/small', (s) => {
    for (let i = 0; i < 70; i++) s.send(Buffer.alloc(1000), { fin: i === 69 });
  }),
  'reserved bit': () => sends('/echo', raw(0xa1, 0x80, 1, 2, 3, 4)),
  'unknown opcode': () => sends('/echo', raw(0x83, 0x80, 1, 2, 3, 4)),
  'not masked': () => sends('/echo', raw(0x81, 0x01, 0x61)),
  'fragmented ping': () => sends('/echo', raw(0x09, 0x80, 1, 2, 3, 4)),
  'compressed without agreement': () => sends('/echo', raw(0xc1, 0x80, 1, 2, 3, 4)),
  'pings': () => receive('/pings'),
  'deflate': () => echo('/deflate', {}),
  'deflate with context': () => echo('/deflate-context', {}),
  'deflate, client forgets': () => echo('/deflate-context', { clientNoContextTakeover: true }),
  'deflate, server forgets': () => echo('/deflate-context', { serverNoContextTakeover: true }),
  'deflate, server 9 bits': () => echo('/deflate-context', { serverMaxWindowBits: 9 }),
  'deflate, client 9 bits': () => echo('/deflate-context', { clientMaxWindowBits: 9 }),
  'deflate, server 8 bits': () => echo('/deflate-context', { serverMaxWindowBits: 8 }),
  'deflate, both 10 bits': () => echo('/deflate-10', {}),
  'deflate bomb': bomb,
};

async function main() {
  for (const [scenario, run] of Object.entries(scenarios)) {
    let result;
    try {
      result = await run();
    } catch (error) {
      result = String(error);
    }
    console.log(JSON.stringify({ scenario, result }));
  }
  process.exit(0);
}

main();
