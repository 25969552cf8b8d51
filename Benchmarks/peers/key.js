// Checks `Authorization: Bearer KEY` as Berth does: only the key's digest is kept.
'use strict';
const { createHash } = require('node:crypto');

const digest = (key) => createHash('sha256').update(key).digest('hex');

exports.keeper = (key) => {
  const known = new Map([[digest(key), { userId: 'user_1', organizationId: 'org_1' }]]);
  return (authorization) =>
    typeof authorization === 'string' && authorization.startsWith('Bearer ') && known.get(digest(authorization.slice(7)));
};
