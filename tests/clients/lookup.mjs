// Looks names up with Node's own resolver (c-ares), and prints what it found, one JSON line for each call.

import dns from "node:dns/promises";
import { text } from "node:stream/consumers";

for (const call of JSON.parse(await text(process.stdin))) {
  const resolver = new dns.Resolver({ timeout: 3000, tries: 1 });
  resolver.setServers([call.server]);
  try {
    console.log(JSON.stringify({ found: await resolver.resolve(call.name, call.type) }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.code }));
  }
}
