// The peer with node:http alone: one row as JSON, and one event stream to many. Prints its port.
'use strict';
const http = require('node:http');
const { keeper } = require('./key');

const holds = keeper(process.env.PEER_KEY);
const rows = new Map(Object.entries(JSON.parse(process.env.PEER_ROWS || '{}')));

const json = (response, status, value) => {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
};

// Viewers of the one stream, which a request's body feeds. Who is a megabyte behind is dropped.
const viewers = new Set();
const feed = (request, response) => {
  let offset = 0;
  request.on('data', (block) => {
    const data = JSON.stringify({ base64: block.toString('base64'), offset });
    offset += block.length;
    const piece = Buffer.from(`event: stdout\nid: ${offset}\ndata: ${data}\n\n`);
    for (const viewer of viewers) {
      if (!viewer.write(piece) && viewer.writableLength > 1 << 20) viewer.destroy();
    }
  });
  request.on('end', () => {
    for (const viewer of viewers) viewer.end('event: end\ndata: {}\n\n');
    viewers.clear();
    json(response, 200, {});
  });
};

const prefix = '/v1/environments/';
const open = process.env.PEER_OPEN === '1';

http.createServer((request, response) => {
  if (!open && !holds(request.headers.authorization)) return json(response, 401, { error: 'unauthorized' });
  if (request.method === 'GET' && request.url.startsWith(prefix)) {
    const row = rows.get(request.url.slice(prefix.length));
    return row ? json(response, 200, row) : json(response, 404, { error: 'not found' });
  }
  if (request.method === 'GET' && request.url === '/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.flushHeaders();
    viewers.add(response);
    return response.on('close', () => viewers.delete(response));
  }
  if (request.method === 'POST' && request.url === '/feed') return feed(request, response);
  return json(response, 404, { error: 'not found' });
}).listen(0, '127.0.0.1', 4096, function () { console.log(this.address().port); });
