// The peer with `ws`: what one worker sends goes to its viewer, and back, with backpressure. Prints its port.
// Both authenticate before the upgrade. With PEER_CERTIFICATE and PEER_CERTIFICATE_KEY it speaks TLS. SIGUSR2 collects garbage.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { WebSocketServer } = require('ws');
const { keeper } = require('./key');

const holds = keeper(process.env.PEER_KEY);
const ahead = 1 << 20;
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 32 << 20 });
const refuse = (answer) => { answer.statusCode = 404; answer.end(); };
const server = process.env.PEER_CERTIFICATE
  ? https.createServer({ cert: fs.readFileSync(process.env.PEER_CERTIFICATE), key: fs.readFileSync(process.env.PEER_CERTIFICATE_KEY) },
    (request, answer) => refuse(answer))
  : http.createServer((request, answer) => refuse(answer));

// The two ends of one relay meet by name.
const waiting = new Map();

const join = (from, to, wire) => {
  from.on('message', (data, isBinary) => {
    to.send(data, { binary: isBinary });
    if (to.bufferedAmount > ahead && !from.isPaused) {
      from.pause();
      wire.once('drain', () => from.resume());
    }
  });
  from.on('close', () => to.close());
  from.on('error', () => to.terminate());
};

server.on('upgrade', (request, socket, head) => {
  const [, role, name] = request.url.split('/');
  if (!holds(request.headers.authorization) || !['worker', 'viewer', 'idle'].includes(role)) {
    return socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
  }
  socket.setNoDelay(true);
  return sockets.handleUpgrade(request, socket, head, (end) => {
    if (role === 'idle') return end.on('message', () => {});
    const other = waiting.get(name);
    if (!other) return waiting.set(name, { end, socket });
    waiting.delete(name);
    join(other.end, end, socket);
    return join(end, other.end, other.socket);
  });
});

process.on('SIGUSR2', () => { global.gc(); global.gc(); });
server.listen(0, '127.0.0.1', 4096, function () { console.log(this.address().port); });
