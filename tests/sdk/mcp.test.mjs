// The unmodified SDK of the Model Context Protocol against a running gateway.
//
//   MEMBRANE_API_URI, MEMBRANE_TOKEN         base address of the gateway, a token of one of its tenants
//   CLOUDTALK_KEY_ID, CLOUDTALK_KEY_SECRET   an API key that the gateway's CloudTalk connector can use

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

function setting(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const base = setting("MEMBRANE_API_URI");
const token = setting("MEMBRANE_TOKEN");
const input = { keyId: setting("CLOUDTALK_KEY_ID"), keySecret: setting("CLOUDTALK_KEY_SECRET") };
const headers = { authorization: `Bearer ${token}` };
const clients = [];
let connection;

async function connected(path) {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(new URL(base + path), { requestInit: { headers } }));
  clients.push(client);
  return client;
}

async function used(client, name, args) {
  const result = await client.callTool({ name, arguments: args });
  assert.ok(!result.isError, result.content[0].text);
  return JSON.parse(result.content[0].text);
}

async function sent(method, path, body) {
  const answer = await fetch(base + path, {
    method, headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body),
  });
  return answer.json();
}

before(async () => {
  connection = await sent("POST", "/connections", { connectorKey: "cloudtalk", key: `mcp-test-${Date.now()}`, name: "MCP test" });
  const ready = await sent("PATCH", `/connections/${connection.id}`, { input });
  assert.equal(ready.state, "READY", JSON.stringify(ready));
});

after(async () => {
  for (const client of clients) await client.close();
  if (connection) await fetch(`${base}/connections/${connection.id}`, { method: "DELETE", headers });
});

test("an agent searches for a tool by what it wants and runs what it found", async () => {
  const client = await connected("/mcp/integrate-anything");
  assert.equal(client.getServerVersion().name, "trunkline");
  const { tools } = await client.listTools();
  assert.ok(tools.some((tool) => tool.name === "search-tools"));
  const found = await used(client, "search-tools", { connectionId: connection.id, intent: "who works in our team", limit: 5 });
  const agents = found.items.find((item) => item.key === "list-agents");
  assert.ok(agents, JSON.stringify(found.items.map((item) => item.key)));
  const ran = await used(client, "run-tool", { actionId: agents.id, connectionId: connection.id, input: {} });
  assert.ok(ran.output.responseData.itemsCount >= 1);
  const connectors = await used(client, "search-connectors", { q: "phone calls" });
  assert.equal(connectors.items[0].element.key, "cloudtalk");
});

test("each action of a connection is a tool, and what fails is a failed tool", async () => {
  const client = await connected("/mcp?apps=cloudtalk");
  const { tools } = await client.listTools();
  assert.ok(tools.length >= 12);
  const ran = await used(client, "cloudtalk_list-contacts", { limit: 1 });
  assert.ok(ran.responseData);
  const failed = await client.callTool({ name: "cloudtalk_get-call", arguments: {} });
  assert.ok(failed.isError);
  assert.match(failed.content[0].text, /callId/);
});

test("without a token the client is told where to get one", async () => {
  const answer = await fetch(`${base}/mcp/integrate-anything`, { method: "POST", body: "{}" });
  assert.equal(answer.status, 401);
  const metadata = answer.headers.get("www-authenticate").match(/resource_metadata="([^"]+)"/)[1];
  const described = await (await fetch(metadata)).json();
  assert.ok(described.resource.endsWith("/mcp/integrate-anything"));
  assert.ok(described.authorization_servers.length > 0);
});
