// The unmodified Membrane SDK against a running gateway.
//
//   MEMBRANE_API_URI        base address of the gateway, such as http://127.0.0.1:8080/membrane
//   MEMBRANE_WORKSPACE_KEY, MEMBRANE_WORKSPACE_SECRET, MEMBRANE_TENANT_KEY
//   CLOUDTALK_KEY_ID, CLOUDTALK_KEY_SECRET   an API key that the gateway's CloudTalk connector can use
//
// All of them stand in the demo's demo.json. The connection used here has a name of its own and is archived
// at the end, so the demo's connections stay as they are.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BadRequestError, ConnectionError, MembraneClient } from "@membranehq/sdk";

function setting(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const apiUri = setting("MEMBRANE_API_URI");
const workspaceKey = setting("MEMBRANE_WORKSPACE_KEY");
const workspaceSecret = setting("MEMBRANE_WORKSPACE_SECRET");
const tenantKey = setting("MEMBRANE_TENANT_KEY");
const input = { keyId: setting("CLOUDTALK_KEY_ID"), keySecret: setting("CLOUDTALK_KEY_SECRET") };

const client = new MembraneClient({ apiUri, workspaceKey, workspaceSecret, tenantKey });
let connection;

before(async () => {
  connection = await client.connections.create({
    connectorKey: "cloudtalk",
    key: `sdk-test-${Date.now()}`,
    name: "SDK test",
  });
});

after(async () => {
  if (connection) await client.connection(connection.id).archive();
});

test("the SDK signs its own token and sees its tenant", async () => {
  const own = await client.self.get();
  assert.equal(own.internalId ?? own.user?.internalId, tenantKey);
  assert.equal(own.workspaceKey ?? own.workspace?.key, workspaceKey);
});

test("ensure finds or makes the connection to an app, and refuses what is no app", async () => {
  const first = await client.post("/connections/ensure", { appUrl: "https://www.cloudtalk.io/" });
  const again = await client.post("/connections/ensure", { appUrl: "cloudtalk.io" });
  assert.equal(first.id, again.id);
  await assert.rejects(client.post("/connections/ensure", { appUrl: "localhost" }), BadRequestError);
});

test("a connection that waits for somebody says how, and can't be used yet", async () => {
  const seen = await client.connection(connection.id).get({ wait: true, timeout: 5 });
  assert.equal(seen.state, "CLIENT_ACTION_REQUIRED");
  assert.equal(seen.clientAction.type, "connect");
  assert.match(seen.clientAction.uiUrl, /\/screens\/connections\?connectionRequestId=/);
  await assert.rejects(client.connection(connection.id).proxy.get("/contacts/index.json"), (error) => {
    assert.ok(error instanceof ConnectionError, String(error));
    assert.equal(error.data.key, "connection_is_defunct");
    return true;
  });
});

test("a wrong credential is refused, a right one makes the connection ready", async () => {
  const wrong = { ...input, keySecret: "not-the-secret" };
  await assert.rejects(client.connection(connection.id).patch({ input: wrong }), BadRequestError);
  const ready = await client.connection(connection.id).patch({ input });
  assert.equal(ready.state, "READY");
  assert.equal(ready.connected, true);
});

test("lists start at cursor 0 and end", async () => {
  const connections = (await client.connections.find({ limit: 1000, cursor: "0" })).items;
  assert.ok(connections.some((item) => item.id === connection.id));
  const actions = await client.actions.findAll();
  assert.ok(actions.length >= 12);
  const page = await client.actions.find({ connectionId: connection.id, intent: "send a text message", limit: 3 });
  assert.equal(page.items[0].key, "send-sms");
});

test("actions run through the connection in both forms", async () => {
  const one = await client.action("list-contacts").run({ limit: 1 }, { connectionId: connection.id });
  assert.ok(one.output);
  assert.ok(one.actionRunId);
  const two = await client.connection(connection.id).action("list-agents").run();
  assert.ok(two.output);
  const log = await client.get(`/action-run-logs/${one.actionRunId}`);
  assert.equal(log.status, "success");
});

test("input that does not fit comes back as the SDK's own error and names the field", async () => {
  await assert.rejects(client.action("get-call").run({}, { connectionId: connection.id }), (error) => {
    assert.ok(error instanceof BadRequestError, String(error));
    assert.match(error.message, /callId/);
    assert.ok(error.data.actionRunId);
    return true;
  });
});

test("the proxy passes answers on as they are", async () => {
  const answer = await client.connection(connection.id).proxy.get("/contacts/index.json?limit=1");
  assert.ok(answer.responseData);
});

test("what is not there is a typed 404", async () => {
  await assert.rejects(client.connection("no-such-connection").get(), (error) => {
    assert.equal(error.data.key, "not_found");
    return true;
  });
});
