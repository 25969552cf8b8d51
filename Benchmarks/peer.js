// The peer of bench.py: bare node:http with the least that gives the same answers. Prints its port.
'use strict';
const http = require('node:http');
const { createHash } = require('node:crypto');
const { spawn } = require('node:child_process');

const hash = (key) => createHash('sha256').update(key).digest('hex');
const keys = new Map([[hash(process.env.PEER_KEY), { userId: 'user_1', organizationId: 'org_1', permissions: ['read', 'run'] }]]);

const json = (response, status, value) => {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
};

// Viewers of the one stream; begun by POST, as an execution is.
const viewers = new Set();
const begin = (command) => {
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  let offset = 0;
  child.stdout.on('data', (block) => {
    const text = `event: stdout\nid: ${offset}\ndata: ${JSON.stringify({ base64: block.toString('base64'), offset })}\n\n`;
    offset += block.length;
    for (const viewer of viewers) viewer.write(text);
  });
  child.stdout.on('end', () => {
    for (const viewer of viewers) viewer.end('event: end\ndata: {}\n\n');
    viewers.clear();
  });
};

http.createServer((request, response) => {
  if (request.url === '/healthz') return json(response, 200, { status: 'ok' });
  const key = (request.headers.authorization || '').replace(/^Bearer /, '');
  const caller = keys.get(hash(key));
  if (!caller) return json(response, 401, { error: 'unauthorized' });
  if (request.url === '/v1/whoami') return json(response, 200, caller);
  if (request.url === '/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    viewers.add(response);
    return response.on('close', () => viewers.delete(response));
  }
  if (request.method === 'POST' && request.url === '/begin') {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    return request.on('end', () => {
      begin(JSON.parse(Buffer.concat(parts)));
      json(response, 202, {});
    });
  }
  return json(response, 404, { error: 'not found' });
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
