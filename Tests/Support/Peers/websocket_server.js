// A WebSocket server for clients under test. Prints {"name": port, ...} with a port for each way of compressing, then
// ends with its standard input. The path says what it does; `/last` tells how the connection before ended. The library
// is `ws`, found by NODE_PATH.
'use strict';
const { WebSocketServer } = require('ws');

const kinds = {
  plain: false,
  context: { threshold: 0 },
  forgetting: { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
  bits: { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
};
const raw = {
  '/utf8': [0x81, 4, 97, 98, 0xc3, 0x28],
  '/utf8-fragments': [0x01, 1, 0xce, 0x80, 2, 0xba, 0xff],
  '/reserved': [0xa1, 0],
  '/opcode': [0x83, 0],
  '/masked': [0x81, 0x81, 1, 2, 3, 4, 0x60],
  '/long-ping': [0x89, 0x7e, 0, 126, ...new Array(126).fill(0)],
  '/compressed': [0xc1, 0],
  '/bad-close': [0x88, 2, 3, 0xed],
  '/data-after-close': [0x88, 2, 3, 0xe8, 0x81, 2, 110, 111],
};
const ended = [];
const waiting = [];

function report(end) {
  if (waiting.length) waiting.shift()(end); else ended.push(end);
}

function answer(socket, request) {
  const path = request.url;
  socket.on('error', () => {});
  if (path === '/last') {
    const tell = (end) => { socket.send(end); socket.close(); };
    if (ended.length) tell(ended.shift()); else waiting.push(tell);
    return;
  }
  socket.on('close', (code, reason) => report(`${code} ${reason}`.trim()));
  if (path === '/echo') {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  } else if (path === '/fragments') {
    socket.on('pong', (data) => { if (data.toString() === 'between') socket.send('pong'); });
    socket.send('frag', { fin: false });
    socket.ping('between');
    socket.send('men', { fin: false });
    socket.send('', { fin: false });
    socket.send('ted', { fin: true });
  } else if (path === '/close') {
    socket.close(4001, 'grüß');
  } else if (path === '/oversize') {
    socket.send(Buffer.alloc(70000));
  } else if (path === '/oversize-fragments') {
    for (let i = 0; i < 70; i++) socket.send(Buffer.alloc(1000), { fin: i === 69 });
  } else if (path === '/bomb') {
    socket.send('x'.repeat(10000000));
  } else if (raw[path]) {
    socket._socket.write(Buffer.from(raw[path]));
  }
}

const ports = {};
for (const [name, perMessageDeflate] of Object.entries(kinds)) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate });
  server.on('connection', answer);
  server.on('listening', () => {
    ports[name] = server.address().port;
    if (Object.keys(ports).length === Object.keys(kinds).length) console.log(JSON.stringify(ports));
  });
}
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
