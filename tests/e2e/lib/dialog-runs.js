// Runs the dialog cases, straight against a server or through a proxy before it (`target`).

import assert from "node:assert/strict";
import path from "node:path";
import { randomInt } from "node:crypto";
import { CARRIER, PHONE } from "./dialogs.js";
import { freePort } from "./ports.js";
import { run } from "./processes.js";
import { register } from "./registration.js";
import { Sipp } from "./sipp.js";

/** All cases of a carrier at once, each a SIPp of its own. */
export async function carrierCases(scene, { transport, target }) {
  const running = Object.entries(CARRIER).map(async ([name, steps], index) => {
    const user = `+42190000${transport === "tcp" ? 7 : 6}${String(index).padStart(3, "0")}`;
    return [name, scene.adds(await Sipp.start(scene.server, { name: `${transport} ${name}`, steps, transport, target, to: scene.server.number, user }))];
  });
  for (const [name, sipp] of await Promise.all(running)) await scene.step(`${transport}: ${name}`, () => sipp.ends());
}

/** All cases of phones, one after the other on each of the lanes, the lanes side by side. */
export async function phoneCases(scene, lanes) {
  const running = lanes.map(async (lane) => {
    const outcomes = [];
    for (const [name, play] of Object.entries(PHONE)) outcomes.push([`${lane.transport}: the phone ${name}`, await phoneCase(scene, lane, name, play).then(() => undefined, (error) => error)]);
    return outcomes;
  });
  for (const [name, error] of (await Promise.all(running)).flat()) await scene.step(name, () => { if (error) throw error; });
}

/** After-call work would make each case wait for the one before. Before the lanes, whose numbers make the server read it. */
export async function noWrapUp(server) {
  assert.equal((await run("sqlite3", ["-cmd", ".timeout 5000", path.join(server.data, "trunkline.db"), "update agents set wrap_up_seconds = 0"])).code, 0);
}

/** Makes a number lead straight to a group. */
export async function routeTo(server, group, number) {
  const list = async (what, name) => (await server.cloudtalk("GET", `/${what}/index.json`)).json.responseData.data.map((item) => item[name]);
  const { id } = (await list("groups", "Group")).find(({ internal_name }) => internal_name === group);
  const edited = (await list("numbers", "CallNumber")).find(({ caller_id_e164 }) => caller_id_e164 === number);
  assert.equal((await server.cloudtalk("POST", `/numbers/edit/${edited.id}.json`, { connected_to: 0, source_id: Number(id) })).status, 200);
}

/** A phone that is registered, and a number that leads straight to it. */
export async function lane(server, { transport, username, group, number, target, algorithm }) {
  await routeTo(server, group, number);
  const port = await freePort();
  await register(server, server.agent(username), { transport, port, algorithm, target });
  return { transport, username, port, number, target };
}

export async function phoneCase(scene, { transport, username, port, number, target }, name, { phone, caller }) {
  const { server } = scene;
  const from = `+4219${randomInt(10_000_000, 99_999_999)}`;
  const takes = scene.adds(await Sipp.start(server, { name: `phone ${transport} ${name}`, steps: phone, transport, port, user: username, waits: true, within: 12 }));
  const places = scene.adds(await Sipp.start(server, { name: `caller ${transport} ${name}`, steps: caller, transport, target, to: number, user: from, within: 12 }));
  try {
    await Promise.all([takes.ends(20_000), places.ends(20_000)]);
    await server.endedCall(from);
  } finally {
    await takes.close();
  }
}
