// Each dialog case with SIPp as the carrier and as the phone, by UDP and by TCP.

import assert from "node:assert/strict";
import path from "node:path";
import { randomInt } from "node:crypto";
import { CARRIER, PHONE } from "../lib/dialogs.js";
import { freePort } from "../lib/ports.js";
import { run } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { Sipp } from "../lib/sipp.js";
import { register } from "../lib/registration.js";
import { until } from "../lib/until.js";

const TRANSPORTS = ["udp", "tcp"];

/** All cases of a carrier at once, each a SIPp of its own. */
async function carrierCases(scene, { transport, target }) {
  const running = Object.entries(CARRIER).map(async ([name, steps], index) => {
    const user = `+42190000${transport === "tcp" ? 7 : 6}${String(index).padStart(3, "0")}`;
    return [name, scene.adds(await Sipp.start(scene.server, { name: `${transport} ${name}`, steps, transport, target, to: scene.server.number, user }))];
  });
  for (const [name, sipp] of await Promise.all(running)) await scene.step(`${transport}: ${name}`, () => sipp.ends());
}

scene("a carrier's dialogs go as the standards say, by UDP and by TCP", async (scene) => {
  await Promise.all(TRANSPORTS.map((transport) => carrierCases(scene, { transport })));
  await scene.step("BYE crosses a re-INVITE", async () => {
    const agent = await scene.userAgent({ from: "+421900000899" });
    await agent.isAnswered();
    const [change, bye] = await Promise.all([agent.says("INVITE", { body: agent.sdp("sendonly") }), agent.says("BYE")]);
    assert.equal(bye, 200);
    assert.ok(change === 200 || change >= 400, String(change));
  });
  await until("all calls to be over", async () => (await scene.server.calls()).every((call) => call.Cdr.ended_at));
});

scene("a phone's dialogs go as the standards say, by UDP and by TCP", async (scene) => {
  const { server } = scene;
  // After-call work would make each case wait for the one before.
  assert.equal((await run("sqlite3", ["-cmd", ".timeout 5000", path.join(server.data, "trunkline.db"), "update agents set wrap_up_seconds = 0"])).code, 0);
  const lanes = await Promise.all([
    lane(server, { transport: "udp", username: "1001", group: "Sales", number: server.demo.sip.numbers[0].e164 }),
    lane(server, { transport: "tcp", username: server.demo.sip.agents.find(({ groups }) => groups.includes("Support")).username, group: "Support", number: server.demo.sip.numbers[1].e164 }),
  ]);
  // Side by side, and told one after the other.
  const running = lanes.map(async (lane) => {
    const outcomes = [];
    for (const [name, play] of Object.entries(PHONE)) outcomes.push([`${lane.transport}: the phone ${name}`, await phoneCase(scene, lane, name, play).then(() => undefined, (error) => error)]);
    return outcomes;
  });
  for (const [name, error] of (await Promise.all(running)).flat()) await scene.step(name, () => { if (error) throw error; });

  await scene.step("a server that starts anew still knows its phones", async () => {
    await server.program.stop("SIGTERM", 15_000);
    await server.boot();
    await Promise.all(lanes.map((lane) => phoneCase(scene, lane, "after a restart", PHONE["answers, and its caller hangs up"])));
  });
});

/** A phone that is registered, and a number that leads straight to it. */
async function lane(server, { transport, username, group, number }) {
  const list = async (what, name) => (await server.cloudtalk("GET", `/${what}/index.json`)).json.responseData.data.map((item) => item[name]);
  const { id } = (await list("groups", "Group")).find(({ internal_name }) => internal_name === group);
  const edited = (await list("numbers", "CallNumber")).find(({ caller_id_e164 }) => caller_id_e164 === number);
  assert.equal((await server.cloudtalk("POST", `/numbers/edit/${edited.id}.json`, { connected_to: 0, source_id: Number(id) })).status, 200);
  const port = await freePort();
  await register(server, server.agent(username), { transport, port, algorithm: transport === "udp" ? "MD5" : "SHA-256" });
  return { transport, username, port, number };
}

async function phoneCase(scene, { transport, username, port, number }, name, { phone, caller }) {
  const { server } = scene;
  const from = `+4219${randomInt(10_000_000, 99_999_999)}`;
  const takes = scene.adds(await Sipp.start(server, { name: `phone ${transport} ${name}`, steps: phone, transport, port, user: username, waits: true, within: 12 }));
  const places = scene.adds(await Sipp.start(server, { name: `caller ${transport} ${name}`, steps: caller, transport, to: number, user: from, within: 12 }));
  try {
    await Promise.all([takes.ends(20_000), places.ends(20_000)]);
    await server.endedCall(from);
  } finally {
    await takes.close();
  }
}
