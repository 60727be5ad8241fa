// The gateway's other doors: its own listener, tokens of programs, keys given by hand, and the real SDK.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Person } from "../lib/browser.js";
import { Membrane, quoted } from "../lib/membrane.js";
import { run } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { inSeconds, jwt } from "../lib/tokens.js";

const SDK = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../sdk");

scene("the unmodified SDKs drive the gateway", async (scene) => {
  const { membrane, cloudtalk } = scene.server.demo;
  const installed = await fs.access(path.join(SDK, "node_modules/@modelcontextprotocol/sdk")).then(() => true, () => false);
  if (!installed) {
    const npm = await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: SDK, within: 300_000 });
    assert.equal(npm.code, 0, npm.stderr);
  }
  const env = {
    ...process.env, MEMBRANE_API_URI: membrane.apiUri, MEMBRANE_WORKSPACE_KEY: membrane.workspaceKey, MEMBRANE_WORKSPACE_SECRET: membrane.workspaceSecret,
    MEMBRANE_TENANT_KEY: membrane.tenantKey, MEMBRANE_TOKEN: membrane.token, CLOUDTALK_KEY_ID: cloudtalk.keyId, CLOUDTALK_KEY_SECRET: cloudtalk.keySecret,
  };
  // A run inside a run reports to the outer one unless told otherwise.
  delete env.NODE_TEST_CONTEXT;
  const ran = await run(process.execPath, ["--test", "--test-reporter=tap", "sdk.test.mjs", "mcp.test.mjs"], { cwd: SDK, env, within: 120_000 });
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  assert.match(ran.stdout, /^# pass ([1-9]\d*)$/m);
});

scene("--gateway-http: the same gateway at the root of a listener of its own", async (scene) => {
  const { server } = scene;
  const root = `http://127.0.0.1:${server.gatewayPort}`;
  const membrane = await Membrane.at(server, { MEMBRANE_API_URI: "http://127.0.0.1:1/not-used" });
  const person = await Person.arrives();
  scene.adds({ close: () => person.leaves() });
  const login = await membrane.does(`membrane login --tenant --clientName=claude --apiUri ${root}`);
  const url = login.stdout.match(/https?:\S+/)?.[0];
  assert.ok(url, login.stdout);
  const code = await person.authorises(url, server.demo.console);
  await membrane.does(`membrane login complete ${quoted(code)} --apiUri ${root}`);

  const connection = await membrane.json(`membrane connection ensure "https://www.cloudtalk.io/" --apiUri ${root} --json`);
  assert.equal(connection.state, "CLIENT_ACTION_REQUIRED");
  await person.page.goto(connection.clientAction.uiUrl);
  await person.connectsThisPhone();
  const ready = await membrane.json(`membrane connection get ${connection.id} --wait --apiUri ${root} --json`);
  assert.equal(ready.state, "READY");
  const agents = await membrane.json(`membrane action run list-agents --connectionId=${connection.id} --apiUri ${root} --json`);
  assert.ok(agents.output.responseData.itemsCount >= 4);

  // Both doors lead into one house: what one made, the other shows. The demo's token opens both.
  const authorization = `Bearer ${server.demo.membrane.token}`;
  for (const base of [root, server.demo.membrane.apiUri]) {
    const answer = await fetch(`${base}/connections/${connection.id}`, { headers: { authorization } });
    assert.deepEqual([answer.status, (await answer.json()).id], [200, connection.id], base);
  }
  assert.equal((await fetch(`${root}/api/calls/index.json`)).status, 404, "only the gateway is there");
}, { gateway: true });

scene("keys given by hand are tried before the connection is ready", async (scene) => {
  const { server } = scene;
  const { baseUrl, keyId, keySecret } = server.demo.cloudtalk;
  const membrane = await Membrane.at(server, { MEMBRANE_ACCESS_TOKEN: server.demo.membrane.token });
  const con = (await membrane.json('membrane connection ensure "https://www.cloudtalk.io/" --json')).id;
  const patch = (input) => `membrane connection patch ${con} --data ${quoted(JSON.stringify({ input }))} --json`;
  const state = async () => membrane.json(`membrane connection get ${con} --json`);

  await scene.step("a wrong secret is not READY, and says why", async () => {
    const refused = await membrane.fails(patch({ keyId, keySecret: "wrong-secret", baseUrl }), 1);
    assert.match(refused.message, /did not accept the credential/);
    const after = await state();
    assert.equal(after.state, "CLIENT_ACTION_REQUIRED");
    assert.match(after.error?.message ?? after.error ?? "", /did not accept the credential/, JSON.stringify(after));
    assert.ok(!JSON.stringify([refused, after]).includes("wrong-secret"));
  });

  await scene.step("addresses inside the house are refused, and nobody is asked", async () => {
    let asked = 0;
    const neighbour = http.createServer((_, answer) => ((asked += 1), answer.end("{}"))).listen(0, "127.0.0.1");
    await once(neighbour, "listening");
    scene.adds({ close: () => neighbour.close() });
    const { port } = neighbour.address();
    const inside = [
      `http://127.0.0.1:${port}`, `http://127.0.0.1:${port}/api`, `http://localhost:${port}`, `http://[::1]:${port}`, `http://2130706433:${port}`, `http://127.1:${port}`,
      `http://[::ffff:127.0.0.1]:${port}`, `${baseUrl.replace("/api", "")}@127.0.0.1:${port}/api`, "http://169.254.169.254", "http://169.254.169.254/latest/meta-data",
      "http://0.0.0.0:80", "http://10.0.0.1", "file:///etc/passwd",
    ];
    for (const address of inside) {
      const refused = await membrane.fails(patch({ keyId, keySecret, baseUrl: address }), 1);
      assert.ok(refused.message, address);
      assert.notEqual((await state()).state, "READY", address);
    }
    assert.equal(asked, 0, "a refused address was asked");
  });

  await scene.step("the right key without an address is this phone system's", async () => {
    const ready = await membrane.json(patch({ keyId, keySecret }));
    assert.equal(ready.state, "READY", JSON.stringify(ready));
    assert.ok(!JSON.stringify(ready).includes(keySecret), "a secret is not given back");
    assert.ok((await membrane.json(`membrane request ${con} /agents/index.json`)).responseData.itemsCount >= 4);
  });

  await scene.step("and with its address", async () => {
    const ready = await membrane.json(patch({ keyId, keySecret, baseUrl }));
    assert.equal(ready.state, "READY", JSON.stringify(ready));
    assert.ok((await membrane.json(`membrane request ${con} /agents/index.json`)).responseData.itemsCount >= 4);
  });

  await scene.step("a bad key afterwards leaves the good one working", async () => {
    await membrane.fails(patch({ keyId, keySecret: "wrong-secret" }), 1);
    assert.equal((await state()).state, "READY");
    assert.ok((await membrane.json(`membrane request ${con} /agents/index.json`)).responseData.itemsCount >= 4);
  });
});

scene("workspace tokens", async (scene) => {
  const { apiUri, workspaceKey, workspaceSecret, tenantKey } = scene.server.demo.membrane;
  const ask = async (token) => {
    const answer = await fetch(`${apiUri}/connections`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
    return { status: answer.status, body: await answer.json() };
  };
  const spellings = {
    "workspaceKey and tenantKey": { workspaceKey, tenantKey },
    "iss and id": { iss: workspaceKey, id: tenantKey },
  };

  await scene.step("all three hashes and both spellings", async () => {
    for (const alg of ["HS256", "HS384", "HS512"]) {
      for (const [spelling, claims] of Object.entries(spellings)) {
        const answer = await ask(jwt(alg, workspaceSecret, { ...claims, exp: inSeconds(60) }));
        assert.equal(answer.status, 200, `${alg} with ${spelling}: ${JSON.stringify(answer.body)}`);
      }
    }
  });

  await scene.step("no good token, no answer, whatever is wrong with it", async () => {
    const claims = { ...spellings["iss and id"], exp: inSeconds(60) };
    const good = jwt("HS256", workspaceSecret, claims);
    const cases = {
      "no token": undefined,
      "alg none": jwt("none", workspaceSecret, claims),
      "alg none with the signature of a good one": `${jwt("none", "", claims)}${good.split(".")[2]}`,
      "alg None": jwt("None", "", claims),
      "another secret": jwt("HS256", "guess", claims),
      "an empty secret": jwt("HS256", "", claims),
      expired: jwt("HS256", workspaceSecret, { ...claims, exp: inSeconds(-600) }),
      "not yet valid": jwt("HS256", workspaceSecret, { ...claims, nbf: inSeconds(600) }),
      "another workspace": jwt("HS256", workspaceSecret, { ...claims, iss: "somebody-else" }),
      "two workspaces": jwt("HS256", workspaceSecret, { ...claims, workspaceKey: "somebody-else" }),
      "two tenants": jwt("HS256", workspaceSecret, { ...claims, tenantKey: "somebody-else" }),
      "no tenant": jwt("HS256", workspaceSecret, { iss: workspaceKey, exp: inSeconds(60) }),
      "an expiry that is no number": jwt("HS256", workspaceSecret, { ...claims, exp: "tomorrow" }),
      "a personal token of nobody": "pat-0123456789abcdef0123456789abcdef",
      noise: "a.b.c",
      "very long": `${good}${"a".repeat(20_000)}`,
    };
    for (const [what, token] of Object.entries(cases)) {
      const answer = await ask(token);
      assert.ok([401, 431].includes(answer.status), `${what}: ${answer.status} ${JSON.stringify(answer.body)}`);
      if (answer.status === 401) assert.equal(answer.body.key, "not_authenticated", what);
    }
  });
});
