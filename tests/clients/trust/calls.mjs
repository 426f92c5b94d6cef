// Makes one call with each client of this runtime, to https://PREFIX<client>.trust.test, and prints a line of JSON for each. The arguments are
// the folder with the libraries from npm, PREFIX, and the clients. Runs in Node, Bun and Deno; nothing here knows of Tollgate.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import process from "node:process";

const [folder, prefix, ...asked] = process.argv.slice(2);
const library = createRequire(`${folder}/package.json`);
const version = globalThis.Deno?.version.deno ?? process.versions.bun ?? process.versions.node;
const installed = (name) => JSON.parse(readFileSync(`${folder}/node_modules/${name}/package.json`)).version;
const clients = {
  fetch: (url) => fetch(`${url}/hello`),
  undici: (url) => library("undici").request(`${url}/hello`),
  axios: (url) => library("axios").get(`${url}/hello`),
  openai: (url) => new (library("openai").OpenAI)({ baseURL: `${url}/v1`, apiKey: "k", maxRetries: 0 }).models.list(),
};
for (const name of asked) {
  const call = clients[name];
  const row = { client: `${prefix}${name}`, version: name === "fetch" ? version : installed(name), error: null };
  try {
    await call(`https://${row.client}.trust.test`);
  } catch (error) {
    row.error = `${error.name}: ${error.message} ${error.cause?.code ?? error.cause ?? ""}`;
  }
  console.log(JSON.stringify(row));
}
process.exit(0);
