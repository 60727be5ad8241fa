// What an operator tells the running server: to drain, and whom to forgive.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { Program } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { TRUNKLINE } from "../lib/server.js";
import { Wire } from "../lib/sip.js";
import { until } from "../lib/until.js";

const run = promisify(execFile);

function drain(scene, seconds) {
  const args = ["drain", "--within", String(seconds), "--data", scene.server.data];
  return scene.adds(Object.assign(new Program("drain", TRUNKLINE, args), { close() { return this.stop("SIGKILL"); } }));
}

async function talking(scene, from) {
  const phone = await scene.phone("1001");
  const caller = await scene.caller({ from });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  return { phone, caller };
}

scene("a drained server takes no new calls, lets the running one end, and ends", async (scene) => {
  const from = "+421900000721";
  const { caller } = await talking(scene, from);
  const operator = drain(scene, 60);
  await until("the drain to begin", () => operator.log.includes("draining"));

  const wire = scene.adds(await Wire.open(scene.server));
  const uri = `sip:${scene.server.number}@127.0.0.1`;
  const refused = await wire.ask(wire.request("INVITE", uri, {}, wire.offer()));
  assert.equal(refused.status, 503);
  assert.ok(refused.headers["retry-after"], "it says when to come again");
  const register = await wire.ask(wire.request("REGISTER", `sip:1001@127.0.0.1`));
  assert.equal(register.status, 401, "phones go on registering");
  assert.ok(scene.server.program.running && operator.running);

  await caller.hangup();
  await caller.ends();
  assert.deepEqual(await scene.server.program.finish(20_000), { code: 0, signal: null });
  assert.deepEqual(await operator.finish(5_000), { code: 0, signal: null });
  assert.match(operator.log, /the server has ended/);
  assert.match(scene.server.program.log, /drained.*calls=0/);
  await scene.server.boot();
  assert.ok((await scene.server.endedCall(from)).Cdr.answered_at);
});

scene("what is left at a drain's limit is hung up on", async (scene) => {
  const { phone, caller } = await talking(scene, "+421900000722");
  drain(scene, 1);
  await phone.sees("CALL_CLOSED");
  await caller.ends();
  assert.deepEqual(await scene.server.program.finish(20_000), { code: 0, signal: null });
  assert.match(scene.server.program.log, /drained.*calls=1/);
});

scene("a stranger who dials around is banned, the ban explains itself, and is lifted", async (scene) => {
  const bans = async (...words) => (await run(TRUNKLINE, ["bans", ...words, "--data", scene.server.data])).stdout;
  assert.match(await bans("list"), /nobody is banned/);
  const wire = scene.adds(await Wire.open(scene.server));
  const uri = "sip:0042190000@127.0.0.1";
  for (let attempt = 0; attempt < 10; attempt += 1) {
    assert.equal((await wire.ask(wire.request("INVITE", uri, {}, wire.offer()))).status, 403);
  }
  assert.match(await bans("list"), /^127\.0\.0\.1 .*every account.*until .*ban 1/);
  const [ban] = JSON.parse(await bans("list", "--json"));
  assert.equal(ban.address, "127.0.0.1");
  const again = scene.adds(await Wire.open(scene.server));
  await assert.rejects(again.ask(again.request("OPTIONS", uri), 500), "nothing is answered");
  const log = await fs.readFile(path.join(scene.server.data, "security.log"), "utf8");
  // The expression of fail2ban's filter.d/asterisk.conf, with its prefix.
  assert.match(log, /^\[[-\d]+ [:\d]+\] SECURITY\[\d+\] [^:]+: SecurityEvent="FailedACL"(?:,(?!RemoteAddress=)\w+="[^"]*")*,RemoteAddress="IPV4\/UDP\/127\.0\.0\.1\/\d+"(?:,\w+="[^"]*")*$/m);
  const socket = await fs.stat(path.join(scene.server.data, "control.sock"));
  assert.equal(socket.mode & 0o777, 0o600);
  assert.match(await bans("lift", "127.0.0.1"), /listened to again/);
  assert.equal((await again.ask(again.request("OPTIONS", uri))).status, 200);
}, { env: { TRUNKLINE_TRUNK_SOURCES: "203.0.113.0/24" } });
