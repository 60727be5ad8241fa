// Whatever arrives: the answer the rules ask for, and a server that goes on.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { Person } from "../lib/browser.js";
import { Membrane, quoted } from "../lib/membrane.js";
import { scene } from "../lib/scene.js";
import { Wire, digest } from "../lib/sip.js";

scene("bad input is answered as the rules say", async (scene) => {
  const { server } = scene;
  const { host, port } = server.demo.sip;
  const target = `sip:${server.number}@${host}:${port}`;
  const wire = async (talk) => {
    const it = await Wire.open(server);
    try {
      return await talk(it);
    } finally {
      it.close();
    }
  };

  await scene.step("malformed SIP gets its status, never silence", async () => {
    const cases = [
      ["no Call-ID", 400, (w) => w.request("INVITE", target, { "Call-ID": null }, w.offer())],
      ["no CSeq", 400, (w) => w.request("INVITE", target, { CSeq: null }, w.offer())],
      ["no From", 400, (w) => w.request("INVITE", target, { From: null }, w.offer())],
      ["CSeq of another method", 400, (w) => w.request("INVITE", target, { CSeq: "1 OPTIONS" }, w.offer())],
      ["method nobody knows", 405, (w) => w.request("BREW", target)],
      ["unknown scheme", 416, (w) => w.request("INVITE", target, {}, w.offer(), "INVITE nobodyknows:abc SIP/2.0")],
      ["required extension", 420, (w) => w.request("INVITE", target, { Require: "nothing-real" }, w.offer())],
      ["no hops left", 483, (w) => w.request("INVITE", target, { "Max-Forwards": "0" }, w.offer())],
      ["another version", 505, (w) => w.request("INVITE", target, {}, w.offer(), `INVITE ${target} SIP/3.0`)],
      ["number of nobody", 404, (w) => w.request("INVITE", `sip:+421299999999@${host}:${port}`, {}, w.offer())],
    ];
    for (const [what, status, make] of cases) {
      const answer = await wire((w) => w.ask(make(w))).catch((error) => assert.fail(`${what}: ${error.message}`));
      assert.equal(answer.status, status, `${what}: ${answer.status} ${answer.reason}`);
      if (status === 405) assert.match(answer.headers.allow, /INVITE/);
      if (status === 420) assert.match(answer.headers.unsupported, /nothing-real/);
    }
  });

  await scene.step("noise is ignored and harms nothing", async () => {
    await wire(async (w) => {
      for (const bytes of [randomBytes(1200), Buffer.alloc(0), Buffer.from("\0\0\0\0"), Buffer.from("INVITE"), Buffer.from("\r\n\r\n"), Buffer.alloc(60_000, 65)]) {
        await w.send(bytes);
      }
      const alive = await w.ask(w.request("OPTIONS", `sip:${host}:${port}`));
      assert.equal(alive.status, 200);
    });
  });

  await scene.step("a wrong password and an unknown user get one answer", async () => {
    const uri = `sip:${host}:${port}`;
    const register = async (username, password) => wire(async (w) => {
      const to = `<sip:${username}@${host}:${port}>`;
      const same = { To: to, From: `${to};tag=1`, "Call-ID": `${username}-${Date.now()}`, Expires: "60" };
      const challenge = await w.ask(w.request("REGISTER", uri, { ...same, CSeq: "1 REGISTER" }));
      assert.equal(challenge.status, 401);
      const authorization = digest(challenge.headers["www-authenticate"], username, password, "REGISTER", uri);
      return (await w.ask(w.request("REGISTER", uri, { ...same, CSeq: "2 REGISTER", Authorization: authorization }))).status;
    });
    const good = server.agent("1002");
    assert.equal(await register(good.username, good.password), 200);
    const wrong = await register("1001", "not the password");
    assert.ok([401, 403].includes(wrong), String(wrong));
    assert.equal(await register("9999", "not the password"), wrong);
  });

  await scene.step("a number that leads nowhere is announced, not refused", async () => {
    const unused = server.demo.sip.numbers.find((number) => !number.flow);
    assert.ok(unused);
    const caller = await scene.caller({ from: "+421900000721", to: unused.e164 });
    await caller.audio.hearsSound();
    // The announcement over, the server hangs up by itself.
    await caller.ends(40_000);
    const call = await server.endedCall("+421900000721");
    assert.equal(call.Cdr.answered_at, undefined);
  });

  await scene.step("the CloudTalk API refuses as its reference says", async () => {
    const bare = await fetch(`${server.demo.cloudtalk.baseUrl}/calls/index.json`);
    assert.equal(bare.status, 401);
    assert.equal((await bare.json()).responseData.message, "Unauthorized");
    const wrongVerb = await server.cloudtalk("PATCH", "/contacts/index.json");
    assert.deepEqual([wrongVerb.status, wrongVerb.json.responseData.message], [405, "Method Not Allowed"]);
    const missing = await server.cloudtalk("GET", "/contacts/show/999999999.json");
    assert.deepEqual([missing.status, missing.json.responseData.message], [404, "Not found."]);
    const invalid = await server.cloudtalk("PUT", "/contacts/add.json", { name: "" });
    assert.deepEqual([invalid.status, invalid.json.responseData.message], [406, "Invalid input data."]);
    assert.ok(invalid.json.responseData.data.name, JSON.stringify(invalid.json));
  });

  await scene.step("the sign-in page answers a wrong password and an unknown person alike", async () => {
    const person = await Person.arrives();
    scene.adds({ close: () => person.leaves() });
    const said = [];
    for (const email of [server.demo.console.email, "nobody@demo.example"]) {
      await person.page.goto(`${server.demo.http}/sign-in`);
      await person.signIn({ email, password: "not the password" });
      said.push(await person.page.getByRole("alert").textContent());
    }
    assert.equal(said[0], said[1]);
  });

  await scene.step("the gateway keeps tenants, tokens and hosts apart", async () => {
    const { workspaceKey, workspaceSecret, tenantKey } = server.demo.membrane;
    const keys = { MEMBRANE_WORKSPACE_KEY: workspaceKey, MEMBRANE_WORKSPACE_SECRET: workspaceSecret };
    const own = await Membrane.at(server, { ...keys, MEMBRANE_TENANT_KEY: tenantKey });
    const con = (await own.json('membrane connection ensure "https://www.cloudtalk.io/" --json')).id;
    const patch = JSON.stringify({ input: { keyId: server.demo.cloudtalk.keyId, keySecret: "wrong", baseUrl: server.demo.cloudtalk.baseUrl } });
    const refused = await own.type(`membrane connection patch ${con} --data ${quoted(patch)} --json`);
    assert.notEqual(JSON.parse(refused.stdout).state, "READY", "a credential is tested before READY");
    assert.ok(!refused.stdout.includes("wrong"), "a secret is not given back");

    const other = await own.fails(`membrane connection get ${con} --tenantKey someone-else --json`, 1);
    assert.equal(other.key, "not_found");
    const forged = await Membrane.at(server, { ...keys, MEMBRANE_WORKSPACE_SECRET: "guess", MEMBRANE_TENANT_KEY: tenantKey });
    assert.equal((await forged.fails("membrane connection list --json", 1)).key, "not_authenticated");
    const expired = await Membrane.at(server, { MEMBRANE_ACCESS_TOKEN: expiredToken(workspaceKey, workspaceSecret, tenantKey) });
    assert.equal((await expired.fails("membrane connection list --json", 1)).key, "not_authenticated");

    const notReady = await own.fails(`membrane request ${con} /agents/index.json --json`, 1);
    assert.equal(notReady.type, "connection");
  });

  await scene.step("a ready connection reaches only its own host, and input is checked by name", async () => {
    const membrane = await Membrane.at(server, { MEMBRANE_ACCESS_TOKEN: server.demo.membrane.token });
    const con = await ready(membrane, server, scene);
    const elsewhere = await membrane.fails(`membrane request ${con} https://example.com/steal --json`, 1);
    assert.ok(elsewhere.type, JSON.stringify(elsewhere));
    const wrong = await membrane.fails(`membrane action run get-call --connectionId=${con} --input '{"callId": true}' --json`, 1);
    assert.match(JSON.stringify(wrong), /callId/);
    const missing = await membrane.fails(`membrane action run send-sms --connectionId=${con} --input '{"message": "hi"}' --json`, 1);
    assert.match(JSON.stringify(missing), /recipient|sender/);
  });

  assert.ok(server.program.running, "the server went through all of it");
  assert.doesNotMatch(server.program.log, /panicked/);
});

/** Connects this phone system on the page, as the owner does. */
async function ready(membrane, server, scene) {
  const connection = await membrane.json('membrane connection ensure "https://www.cloudtalk.io/" --json');
  if (connection.state === "READY") return connection.id;
  const person = await Person.arrives();
  scene.adds({ close: () => person.leaves() });
  await person.page.goto(connection.clientAction.uiUrl);
  await person.signIn(server.demo.console);
  await person.connectsThisPhone();
  assert.equal((await membrane.json(`membrane connection get ${connection.id} --wait --json`)).state, "READY");
  return connection.id;
}

function expiredToken(workspaceKey, secret, tenantKey) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ id: tenantKey, iss: workspaceKey, exp: Math.floor(Date.now() / 1000) - 600 })}`;
  return `${signed}.${hmac(secret, signed)}`;
}

function hmac(secret, text) {
  return createHmac("sha256", secret).update(text).digest("base64url");
}
