// Calls that agents place: to colleagues, to the company's own numbers and to the world through carriers.

import assert from "node:assert/strict";
import { amplitude, readWav, stretchOf, tone } from "../lib/audio.js";
import { accessible } from "../lib/accessible.js";
import { Person } from "../lib/browser.js";
import { Carrier } from "../lib/carrier.js";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { wholeFacts } from "../lib/ledger.js";
import { freePort } from "../lib/ports.js";
import { Program, run } from "../lib/processes.js";
import { PCMA, RtpPeer } from "../lib/rtp.js";
import { scene } from "../lib/scene.js";
import { TRUNKLINE } from "../lib/server.js";
import { until } from "../lib/until.js";

const CALLEE = "+421905000777";

/** An operator's command against the running server. */
async function operate(scene, ...args) {
  const ran = await run(TRUNKLINE, [...args, "--data", scene.server.data]);
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout;
}

async function carrier(scene, name, options, ...flags) {
  const carrier = scene.adds(await Carrier.open(options));
  await operate(scene, "trunk", "add", name, "--server", carrier.server, "--transport", "udp", "--keep-alive", "0", ...flags);
  return carrier;
}

/** The newest call that is over and fits. */
async function ended(scene, fits, what = "the call to be over") {
  return until(what, async () => {
    const call = (await scene.server.calls()).find(({ Cdr }) => fits(Cdr));
    return call?.Cdr.ended_at && call;
  });
}

scene("an agent calls the world: the carrier answers, both hear each other, the call is listed and recorded", async (scene) => {
  const carrier_ = await carrier(scene, "first", { account: { username: "acme", password: "s3cret" } }, "--username", "acme", "--settings", await settingsWith(scene, {}));
  await withPassword(scene, "first", "s3cret");
  const phone = await scene.phone("1001", { answer: "manual", frequency: 700 });
  phone.command("dial", "0905000777");
  const call = await carrier_.call();
  assert.equal(call.user, CALLEE, "national digits go out as E.164");
  assert.match(call.invite.headers.from, /\+421200000001@/, "the agent's number is shown");
  assert.match(call.invite.headers["p-asserted-identity"] ?? "", /\+421200000001/);
  await phone.sees("CALL_ESTABLISHED");
  await until("the agent to be on a call", async () => (await scene.server.cloudtalk("GET", "/agents/index.json")).json.responseData.data.some(({ Agent }) => Agent.extension === "1001" && Agent.availability_status === "calling"));
  call.audio.play(tone(440, 1));
  await call.audio.hearsTone(700, 1);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  phone.hangup();
  await call.isOver();
  const listed = await ended(scene, (Cdr) => Cdr.public_external === CALLEE);
  const agent = scene.server.agent("1001");
  assert.equal(listed.Cdr.type, "outgoing");
  assert.equal(listed.Cdr.user_id, String(agent.id));
  assert.equal(listed.Cdr.public_internal, "+421200000001");
  assert.ok(listed.Cdr.answered_at);
  assert.equal(listed.Cdr.hangup_cause, "agent_hangup");
  assert.equal(listed.Cdr.trunk_attempts[0].trunk, "first");
  assert.match(listed.Cdr.trunk_attempts[0].why, /only trunk/);
  assert.equal(listed.Cdr.recorded, true);
  const { channels } = readWav((await scene.server.recording(listed.Cdr.id)).bytes);
  assert.ok(stretchOf(channels[0], 440, 0.5), "the callee is in the left channel");
  assert.ok(stretchOf(channels[1], 700, 0.5), "the agent is in the right channel");
  assert.ok(amplitude(stretchOf(channels[1], 700, 0.5), 440) < 0.01);
  await wholeFacts(scene.server);
});

async function settingsWith(scene, settings) {
  const { writeFile } = await import("node:fs/promises");
  const file = `${scene.server.folder}/settings-${Math.random().toString(36).slice(2)}.json`;
  await writeFile(file, JSON.stringify(settings));
  return file;
}

async function withPassword(scene, name, password) {
  const { writeFile } = await import("node:fs/promises");
  const file = `${scene.server.folder}/password`;
  await writeFile(file, `${password}\n`, { mode: 0o600 });
  await operate(scene, "trunk", "change", name, "--password-file", file);
}

scene("carriers in turn: 503 moves on, busy does not; ringing comes before the answer; early audio is heard", async (scene) => {
  const broken = await carrier(scene, "broken", { callee: "unavailable" });
  const good = await carrier(scene, "good", { callee: (call) => call.respond(180) });
  const phone = await scene.phone("1001", { answer: "manual", frequency: 700 });

  await scene.step("the second carrier is asked when the first says 503", async () => {
    phone.command("dial", CALLEE);
    const call = await good.call();
    assert.equal(broken.calls.length, 1);
    await phone.sees("CALL_RINGING");
    assert.equal(phone.count("CALL_ESTABLISHED"), 0, "not answered before the callee answers");
    call.answer();
    await phone.sees("CALL_ESTABLISHED");
    call.hangup();
    await phone.sees("CALL_CLOSED");
    const listed = await ended(scene, (Cdr) => Cdr.public_external === CALLEE);
    assert.deepEqual(listed.Cdr.trunk_attempts.map(({ trunk, status }) => [trunk, status]), [["broken", 503], ["good", null]]);
    assert.equal(listed.Cdr.hangup_cause, "caller_hangup");
  });

  await scene.step("a busy callee is busy by every way", async () => {
    good.callee = (call) => call.respond(486);
    phone.command("dial", "+421905000778");
    await good.call(1);
    await phone.sees("CALL_CLOSED", { times: 2 });
    const listed = await ended(scene, (Cdr) => Cdr.public_external === "+421905000778");
    assert.equal(listed.Cdr.hangup_cause, "busy");
    assert.equal(listed.Cdr.answered_at, undefined);
    assert.match(phone.events.at(-1).param ?? "", /486/, "the agent's phone is told what the carrier said");
  });

  await scene.step("what the carrier lets hear before the answer is heard", async () => {
    good.callee = (call) => {
      call.audio.play(tone(440, 1));
      call.progress();
    };
    phone.command("dial", "+421905000779");
    const call = await good.call(2);
    await phone.sees("CALL_PROGRESS");
    await call.audio.hearsTone(700, 0.5);
    phone.hangup();
    await call.isOver();
    assert.equal(call.over, "cancelled");
    const listed = await ended(scene, (Cdr) => Cdr.public_external === "+421905000779");
    assert.equal(listed.Cdr.hangup_cause, "caller_canceled");
    assert.equal(listed.Cdr.recorded, false);
  });
  await wholeFacts(scene.server);
});

scene("SIPp as the callee behind a trunk: A-law on his side, G.711 on ours, and he is hung up on", async (scene) => {
  const port = await freePort();
  const audio = scene.adds(await RtpPeer.open(PCMA));
  const scenario = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../scenarios/callee.xml");
  const sipp = new Program("sipp", "sipp", ["-sf", scenario, "-i", "127.0.0.1", "-p", String(port), "-m", "1", "-key", "rtp_port", String(audio.port), "-nostdin", "-timeout", "60s", "-timeout_error"], { cwd: scene.server.folder });
  scene.adds({ close: () => sipp.stop("SIGKILL") });
  await operate(scene, "trunk", "add", "sipp", "--server", `127.0.0.1:${port}`, "--transport", "udp", "--keep-alive", "0");
  const phone = await scene.phone("1001", { answer: "manual", frequency: 700 });
  phone.command("dial", CALLEE);
  await phone.sees("CALL_ESTABLISHED");
  audio.play(tone(440, 1));
  await audio.hearsTone(700, 1);
  phone.hangup();
  const outcome = await sipp.finish(20_000);
  assert.equal(outcome.code, 0, sipp.tail());
  const listed = await ended(scene, (Cdr) => Cdr.public_external === CALLEE);
  assert.ok(listed.Cdr.answered_at);
});

scene("colleagues call each other by extension, and a number of ours leads where it leads others", async (scene) => {
  const first = await scene.phone("1001", { answer: "manual", frequency: 700 });
  const [other] = scene.server.demo.sip.agents.filter(({ username, groups }) => username !== "1001" && groups.includes("Sales"));
  const second = await scene.phone(other.username, { frequency: 900 });

  await scene.step("by extension", async () => {
    first.command("dial", other.username);
    await first.sees("CALL_ESTABLISHED");
    await second.sees("CALL_ESTABLISHED");
    second.hangup();
    await first.sees("CALL_CLOSED");
    const listed = await ended(scene, (Cdr) => Cdr.type === "internal");
    assert.equal(listed.Cdr.user_id, String(scene.server.agent("1001").id));
    assert.equal(listed.Cdr.hangup_cause, "agent_hangup");
    assert.equal(listed.Cdr.recorded, false, "colleagues are not recorded unless the company says so");
  });

  await scene.step("nobody has this extension", async () => {
    first.command("dial", "1999");
    await first.sees("CALL_CLOSED", { times: 2 });
  });

  await scene.step("a number of ours answers with its menu", async () => {
    first.command("dial", scene.server.number);
    await first.sees("CALL_ESTABLISHED", { times: 2 });
    first.hangup();
    await ended(scene, (Cdr) => Cdr.type === "internal" && Cdr.public_internal === scene.server.number);
  });
  await wholeFacts(scene.server);
});

scene("an agent who calls out gets nobody from the queue, and works after his call", async (scene) => {
  const out = await carrier(scene, "out", { callee: "answers" });
  const phone = await scene.phone("1001", { answer: "manual" });
  phone.command("dial", CALLEE);
  await phone.sees("CALL_ESTABLISHED");
  const caller = await scene.caller({ from: "+421900000801" });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await until("the caller to wait", async () => (await scene.server.calls()).some(({ Cdr }) => Cdr.public_external === "+421900000801"));
  await new Promise((resolve) => setTimeout(resolve, 2000));
  assert.equal(phone.count("CALL_INCOMING"), 0, "he talks");
  phone.hangup();
  await phone.sees("CALL_INCOMING", { within: 15_000 });
  await caller.hangup();
  await caller.ends();
  assert.equal((await out.call()).over, "theirs");
  const facts = await wholeFacts(scene.server);
  const own = [...facts.values()].find((facts) => facts.some(({ type }) => type === "trunk_dialed"));
  assert.ok(own.some(({ type }) => type === "wrap_up_started"));
});

scene("click to call: the agent's phone rings first, then the callee's", async (scene) => {
  const out = await carrier(scene, "out", { callee: "answers" });
  const agent = scene.server.agent("1001");
  const ask = (callee_number, agent_id = agent.id) => scene.server.cloudtalk("POST", "/calls/create.json", { agent_id, callee_number });

  const offline = await ask(CALLEE);
  assert.equal(offline.status, 403);
  assert.equal(offline.json.responseData.message, "Agent is not online.");
  const phone = await scene.phone("1001", { answer: "manual", frequency: 700 });
  assert.equal((await ask(CALLEE, 999_999)).status, 404);
  assert.equal((await ask("nobody")).status, 406);

  const begun = await ask(CALLEE);
  assert.deepEqual([begun.status, begun.json.responseData], [200, { status: 200 }]);
  await phone.sees("CALL_INCOMING");
  assert.equal(out.calls.length, 0, "nobody is called before the agent answers");
  phone.command("accept");
  const call = await out.call();
  assert.equal(call.user, CALLEE);
  await phone.sees("CALL_ESTABLISHED");
  assert.equal((await ask(CALLEE)).status, 409);
  call.audio.play(tone(440, 1));
  await call.audio.hearsTone(700, 1);
  call.hangup();
  await phone.sees("CALL_CLOSED");
  const listed = await ended(scene, (Cdr) => Cdr.public_external === CALLEE);
  assert.equal(listed.Cdr.type, "outgoing");
  assert.equal(listed.Cdr.recorded, true);
  await wholeFacts(scene.server);
});

scene("toll fraud: too many calls at once stop the agent until somebody releases him; help is always called", async (scene) => {
  const out = await carrier(scene, "out", { callee: "rings" });
  const phone = await scene.phone("1001", { answer: "manual" });
  // The phone holds four calls at once, as many as the rules allow; velocity is the other bound.
  for (let n = 0; n < 15; n++) {
    phone.command("dial", `+4219050001${String(n).padStart(2, "0")}`);
    await out.call(n);
    phone.hangup();
    await out.calls[n].isOver();
  }
  phone.command("dial", CALLEE);
  const listed = await ended(scene, (Cdr) => Cdr.public_external === CALLEE);
  assert.equal(listed.Cdr.hangup_cause, "not_allowed");
  assert.match(listed.Cdr.refused, /more than 15 calls within a minute/);
  assert.equal(out.calls.length, 15);
  const stops = JSON.parse(await operate(scene, "fraud", "list", "--json"));
  assert.equal(stops.length, 1);
  assert.match(stops[0].reason, /within a minute/);
  const log = await (await import("node:fs/promises")).readFile(`${scene.server.data}/security.log`, "utf8");
  assert.match(log, /SecurityEvent="OutgoingCallsStopped",AccountID="1001",RemoteAddress="IPV4\/UDP\/127\.0\.0\.1\//);

  await scene.step("the console says so on every page", async () => {
    const person = await Person.arrives();
    scene.adds({ close: () => person.leaves() });
    await person.page.goto(`${scene.server.web}/calls`);
    await person.signIn(scene.server.demo.console);
    await person.page.getByText("Outgoing calls are stopped", { exact: true }).waitFor();
    await person.page.getByText("more than 15 calls within a minute").first().waitFor();
    await accessible(person, "stopped");
  });

  phone.command("dial", "112");
  const help = await out.call(15);
  assert.equal(help.user, "112");
  phone.hangup();
  await help.isOver();

  await scene.server.program.stop("SIGTERM", 15_000);
  await scene.server.boot();
  assert.equal(JSON.parse(await operate(scene, "fraud", "list", "--json")).length, 1, "a restart frees nobody");
  await operate(scene, "fraud", "release", "1001");
  assert.equal(JSON.parse(await operate(scene, "fraud", "list", "--json")).length, 0);
});
