// Traces: a call's signalling as a ladder, as a capture that tshark reads, and at a Homer server; never a secret in any of it.

import assert from "node:assert/strict";
import path from "node:path";
import { udp } from "../lib/ports.js";
import { Program, run } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { TRUNKLINE } from "../lib/server.js";
import { Wire, digest } from "../lib/sip.js";
import { until } from "../lib/until.js";

const FROM = "+421900000731";
const homer = await udp(0);
const packets = [];
homer.on("message", (packet) => packets.push(hep(packet)));
homer.unref();

/** The chunks of a HEP version 3 packet by their types. */
function hep(packet) {
  assert.equal(packet.toString("latin1", 0, 4), "HEP3");
  assert.equal(packet.readUInt16BE(4), packet.length);
  const chunks = {};
  for (let at = 6; at < packet.length; at += packet.readUInt16BE(at + 4)) {
    assert.equal(packet.readUInt16BE(at), 0, "a standard chunk");
    chunks[packet.readUInt16BE(at + 2)] = packet.subarray(at + 6, at + packet.readUInt16BE(at + 4));
  }
  const address = (chunk) => [...chunks[chunk]].join(".");
  return {
    from: `${address(3)}:${chunks[7].readUInt16BE()}`, to: `${address(4)}:${chunks[8].readUInt16BE()}`,
    at: chunks[9].readUInt32BE(), protocol: chunks[2][0], type: chunks[11][0], text: chunks[15].toString("utf8"), call: chunks[17]?.toString("utf8"),
  };
}

scene("a call's signalling can be seen in every form, and no secret with it", async (scene) => {
  const { server } = scene;
  const data = ["--data", server.data];
  const trunkline = async (...words) => {
    const { code, stdout, stderr } = await run(TRUNKLINE, [...words, ...data]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const wire = scene.adds(await Wire.open(server));
  const secrets = [server.agent("1001").password];
  const outputs = [];

  assert.match(await trunkline("trace", "list"), /there is no trace/);
  const started = await trunkline("trace", "start", "--number", FROM, "--for", "5m");
  const id = started.match(/trace (\d+) runs/)[1];
  await trunkline("trace", "start", "--device", "1001");
  const file = path.join(server.folder, "live.pcap");
  const live = scene.adds(Object.assign(new Program("trace", TRUNKLINE, ["trace", "start", "--all", "--ladder", "--pcap", file, ...data]), { close() { return this.stop("SIGKILL"); } }));
  await until("the third trace to run", async () => (JSON.parse(await trunkline("trace", "list", "--json"))).length === 3);

  // A registration, whose proof must not be seen.
  const uri = `sip:${server.demo.sip.host}`;
  const challenge = await wire.ask(wire.request("REGISTER", uri, { To: "<sip:1001@127.0.0.1>", From: "<sip:1001@127.0.0.1>;tag=r" }));
  const proof = digest(challenge.headers["www-authenticate"], "1001", server.agent("1001").password, "REGISTER", uri);
  secrets.push(proof.match(/response="(\w+)"/)[1], challenge.headers["www-authenticate"].match(/nonce="([^"]+)"/)[1]);
  const registered = await wire.ask(wire.request("REGISTER", uri, { To: "<sip:1001@127.0.0.1>", From: "<sip:1001@127.0.0.1>;tag=r", CSeq: "2 REGISTER", Authorization: proof, Expires: "0", Contact: "*" }));
  assert.equal(registered.status, 200);

  const phone = await scene.phone("1001");
  const caller = await scene.caller({ from: FROM });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  await caller.hangup();
  await caller.ends();
  const call = await server.endedCall(FROM);

  await scene.step("the trace of a number holds both legs, as a ladder", async () => {
    const ladder = await trunkline("trace", "show", id);
    outputs.push(ladder);
    for (const part of [/\|--- INVITE SDP \S+ -+>\|/, /<-- 200 OK \(INVITE\) SDP/, /BYE/, /trunkline/]) assert.match(ladder, part);
    assert.match(ladder, /\|--- INVITE SDP 1001\S* [~ ]*-+>\|  UDP$/m, "the leg to the phone is the right-hand one");
    assert.doesNotMatch(ladder, /REGISTER/, "the phone's registration is no part of the call");
  });

  await scene.step("the last calls are remembered without a trace", async () => {
    const ladder = await trunkline("trace", "show", "--call", String(call.Cdr.id));
    assert.equal(ladder.split("\n").filter((line) => /INVITE SDP/.test(line)).length, 2);
    const { code, stderr } = await run(TRUNKLINE, ["trace", "show", "--call", "999999", ...data]);
    assert.equal(code, 1);
    assert.match(stderr, /nothing is remembered of call 999999/);
  });

  await scene.step("the trace of a device holds its registrations too", async () => {
    const messages = await trunkline("trace", "show", "2", "--messages");
    outputs.push(messages);
    assert.match(messages, /^REGISTER sip:/m);
    assert.match(messages, /^Authorization: Digest username="1001", realm="trunkline", nonce="\*+", uri="[^"]+", response="\*+"/m);
    assert.match(messages, /^INVITE sip:1001/m);
  });

  await scene.step("tshark reads the capture and sees the call", async () => {
    live.kill("SIGINT");
    assert.deepEqual(await live.finish(10_000), { code: 0, signal: null });
    outputs.push(live.log);
    assert.match(live.log, /INVITE/);
    const read = async (...words) => (await run("tshark", ["-n", "-r", file, ...words])).stdout;
    const fields = await read("-Y", "sip", "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code", "-e", "ip.src", "-e", "udp.srcport", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE");
    const methods = fields.split("\n").map((line) => line.split("\t")[0]);
    assert.ok(methods.filter((method) => method === "INVITE").length >= 2, fields);
    for (const method of ["REGISTER", "ACK", "BYE"]) assert.ok(methods.includes(method), `${method} in ${fields}`);
    assert.equal((await read("-Y", "_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0")).trim(), "", "nothing in it is broken");
    assert.match(await read("-q", "-z", "sip,stat"), /INVITE\s+:\s*\d+|INVITE/);
    outputs.push(await read("-V"));
  });

  await scene.step("Homer gets both legs under one name", async () => {
    const invites = packets.filter(({ text }) => text.startsWith("INVITE "));
    assert.ok(invites.length >= 2);
    for (const { type, protocol, at } of invites) {
      assert.deepEqual([type, protocol], [1, 17]);
      assert.ok(Math.abs(at - Date.now() / 1000) < 120);
    }
    const byes = packets.filter(({ text }) => text.startsWith("BYE "));
    assert.deepEqual(new Set(byes.map(({ call }) => call)), new Set([String(call.Cdr.id)]));
    outputs.push(...packets.map(({ text }) => text));
  });

  await scene.step("none of it holds a secret, and what is ended is gone", async () => {
    for (const text of outputs) for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} in ${text}`);
    assert.doesNotMatch(outputs.join("\n"), /response="[0-9a-f]{8}/);
    outputs.push(await trunkline("trace", "stop", id));
    const { code, stderr } = await run(TRUNKLINE, ["trace", "show", id, ...data]);
    assert.equal(code, 1);
    assert.match(stderr, /no such trace/);
  });
}, { env: { TRUNKLINE_HEP_SERVER: `127.0.0.1:${homer.address().port}` } });
