// Kamailio in front, as dispatcher and as path proxy: the same cases pass through it, and a node that drains gets nothing new.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { carrierCases, lane, noWrapUp, phoneCases, phonesCases } from "../lib/dialog-runs.js";
import { freePort } from "../lib/ports.js";
import { Program } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { Server, TRUNKLINE } from "../lib/server.js";
import { Wire } from "../lib/sip.js";
import { until } from "../lib/until.js";
import { UserAgent } from "../lib/user-agent.js";

const CONFIG = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../kamailio.cfg");

// What Kamailio says of where a request comes from is believed: else all phones and carriers would be one source.
const EDGE = { TRUNKLINE_SIP_TRUSTED_PROXIES: "127.0.0.1/32" };

/** Kamailio before these servers: `{host, port}`. */
async function kamailio(scene, servers) {
  const port = await freePort();
  const folder = await fs.mkdtemp(path.join(scene.server.folder, "kamailio-"));
  const list = path.join(folder, "dispatcher.list");
  await fs.writeFile(list, servers.map(({ demo }) => `1 sip:${demo.sip.host}:${demo.sip.port}\n`).join(""));
  const program = new Program("kamailio", "kamailio", ["-f", CONFIG, "-DD", "-E", "-m", "32", "-M", "4", "-Y", folder, "-P", path.join(folder, "pid")], { env: { ...process.env, KAM_PORT: String(port), DISPATCHER: list } });
  scene.adds({ program, close: () => program.stop("SIGTERM", 5_000) });
  const target = { host: "127.0.0.1", port };
  const wire = scene.adds(await Wire.open({ demo: { sip: target } }));
  await until("Kamailio to pass OPTIONS on", async () => (await wire.ask(wire.request("OPTIONS", `sip:x@127.0.0.1:${port}`), 500)).status === 200);
  return target;
}

scene("the dialogs of carriers and phones pass through Kamailio", async (scene) => {
  const { server } = scene;
  const target = await kamailio(scene, [server]);
  await noWrapUp(server, { aside: ["1002"] });
  const sales = server.demo.sip.agents.find(({ groups }) => groups.includes("Sales"));
  const phones = lane(server, { transport: "udp", username: sales.username, group: "Sales", number: server.demo.sip.numbers[1].e164, target, colleague: "1002" });
  await Promise.all([carrierCases(scene, { transport: "udp", target }), carrierCases(scene, { transport: "tcp", target }), phones.then(async (lane) => {
    await phoneCases(scene, [lane]);
    await phonesCases(scene, [lane]);
  })]);
  await until("all calls to be over", async () => (await server.calls()).every((call) => call.Cdr.ended_at));
}, { env: EDGE });

scene("a node that drains gets no new calls, and nobody is turned away", async (scene) => {
  const other = await Server.start({ env: EDGE });
  scene.adds({ program: other.program, close: () => other.close() });
  const target = await kamailio(scene, [scene.server, other]);
  const edge = { number: scene.server.number, demo: { sip: target } };
  const dial = async (from) => {
    const caller = scene.adds(await UserAgent.open(edge, { from }));
    await caller.isAnswered();
    return caller;
  };
  // Which node takes a call is decided by its Call-ID: among so many both get some.
  const first = await Promise.all(Array.from({ length: 12 }, (_, index) => dial(`+4219001100${String(index).padStart(2, "0")}`)));
  const counts = async () => [(await scene.server.calls()).length, (await other.calls()).length];
  const [here, there] = await counts();
  assert.ok(here > 0 && there > 0 && here + there === 12, `${here} and ${there}`);

  const drain = new Program("drain", TRUNKLINE, ["drain", "--within", "60", "--data", scene.server.data]);
  scene.adds({ program: drain, close: () => drain.stop("SIGKILL") });
  await until("the drain to begin", () => drain.log.includes("draining"));
  const more = await Promise.all(Array.from({ length: 12 }, (_, index) => dial(`+4219001200${String(index).padStart(2, "0")}`)));
  assert.deepEqual(await counts(), [here, there + 12], "all new calls are at the other node");
  for (const caller of [...first, ...more]) assert.equal(await caller.hangup(), 200);
  assert.deepEqual(await scene.server.program.finish(20_000), { code: 0, signal: null });
}, { env: EDGE });
