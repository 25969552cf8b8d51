// The peer with Express: the key checked by a middleware, the row by a route. Prints its port.
'use strict';
const express = require('express');
const { keeper } = require('./key');

const holds = keeper(process.env.PEER_KEY);
const rows = new Map(Object.entries(JSON.parse(process.env.PEER_ROWS || '{}')));

const app = express();
app.disable('x-powered-by');
// Berth's tag comes from the row's version; hashing every body here would cost this side more.
app.disable('etag');
app.use((request, response, next) => {
  const caller = holds(request.headers.authorization);
  if (!caller) return response.status(401).json({ error: 'unauthorized' });
  request.caller = caller;
  return next();
});
app.get('/v1/environments/:id', (request, response) => {
  const row = rows.get(request.params.id);
  return row ? response.json(row) : response.status(404).json({ error: 'not found' });
});
app.listen(0, '127.0.0.1', 4096, function () { console.log(this.address().port); });
