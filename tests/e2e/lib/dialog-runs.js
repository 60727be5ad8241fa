// Runs the dialog cases, straight against a server or through a proxy before it (`target`).

import assert from "node:assert/strict";
import path from "node:path";
import { randomInt } from "node:crypto";
import { CARRIER, PHONE, PHONES } from "./dialogs.js";
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

/** All cases of several phones, on each of the lanes. */
export async function phonesCases(scene, lanes) {
  const running = lanes.map(async (lane) => {
    const outcomes = [];
    for (const [name, play] of Object.entries(PHONES)) outcomes.push([`${lane.transport}: the phone ${name}`, await phonesCase(scene, lane, name, play).then(() => undefined, (error) => error)]);
    return outcomes;
  });
  for (const [name, error] of (await Promise.all(running)).flat()) await scene.step(name, () => { if (error) throw error; });
}

/** After-call work would make each case wait for the one before. Before the lanes, whose numbers make the server read it. `aside`: who gets no calls of queues. */
export async function noWrapUp(server, { aside = [] } = {}) {
  const offline = aside.map((username) => `; update agents set availability = 'offline' where sip_username = '${username}'`).join("");
  assert.equal((await run("sqlite3", ["-cmd", ".timeout 5000", path.join(server.data, "trunkline.db"), `update agents set wrap_up_seconds = 0${offline}`])).code, 0);
}

/** Makes a number lead straight to a group. */
export async function routeTo(server, group, number) {
  const list = async (what, name) => (await server.cloudtalk("GET", `/${what}/index.json`)).json.responseData.data.map((item) => item[name]);
  const { id } = (await list("groups", "Group")).find(({ internal_name }) => internal_name === group);
  const edited = (await list("numbers", "CallNumber")).find(({ caller_id_e164 }) => caller_id_e164 === number);
  assert.equal((await server.cloudtalk("POST", `/numbers/edit/${edited.id}.json`, { connected_to: 0, source_id: Number(id) })).status, 200);
}

/** A phone that is registered, and a number that leads straight to it. */
export async function lane(server, { transport, username, group, number, target, algorithm, colleague }) {
  await routeTo(server, group, number);
  const port = await freePort();
  await register(server, server.agent(username), { transport, port, algorithm, target });
  return { transport, username, port, number, target, colleague };
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

/** Registers a phone for one case, and takes it away again. */
async function borrowed(server, { target }, username, transport) {
  const port = await freePort();
  const registration = { transport, port, target };
  await register(server, server.agent(username), registration);
  return { port, leave: () => register(server, server.agent(username), { ...registration, expires: 0 }) };
}

/** How others name the dialog of a call that a SIPp takes: RFC 3891 has the tags as the server sees them. */
function dialogOf({ headers }, ours) {
  const tag = (value) => value.match(/;tag=([^;>\s]+)/)[1];
  const [to, from] = ours === "from" ? [headers.to, headers.from] : [headers.from, headers.to];
  return `${headers["call-id"]};to-tag=${tag(to)};from-tag=${tag(from)}`;
}

async function phonesCase(scene, lane, name, play) {
  const { server } = scene;
  const { transport, target, colleague } = lane;
  const from = `+4219${randomInt(10_000_000, 99_999_999)}`;
  const [running, lent] = [[], []];
  const starts = async (role, steps, options) => {
    const sipp = scene.adds(await Sipp.start(server, { name: `${role} ${transport} ${name}`, steps, transport, target, within: 15, ...options, keys: { target: colleague, ...options.keys } }));
    running.push(sipp);
    return sipp;
  };
  const lends = async (username, by = transport) => {
    const phone = await borrowed(server, lane, username, by);
    lent.push(phone);
    return phone;
  };
  // SIPp places calls from the port of its phone by UDP alone.
  const places = async (role, steps, username, options) => {
    const { port } = await lends(username, "udp");
    return starts(role, steps, { port, transport: "udp", user: username, password: server.agent(username).password, ...options });
  };
  try {
    const phone = await starts("phone", play.phone, { port: lane.port, user: lane.username, waits: true, more: ["-aa"] });
    if (play.target) await starts("target", play.target, { port: (await lends(colleague)).port, user: colleague, waits: true });
    if (play.sibling) await starts("sibling", play.sibling, { port: (await lends(lane.username)).port, user: lane.username, waits: true });
    await starts("caller", play.caller, { to: lane.number, user: from });
    if (play.consults) {
      await phone.has("ACK ");
      const consults = await places("consults", play.consults, lane.username, { to: colleague });
      const dialog = dialogOf(await consults.has("ACK ", "2"), "from");
      await phone.isTold(`X-Dialog: ${encodeURIComponent(dialog)}`);
    }
    if (play.picksUp) {
      const dialog = dialogOf(await phone.has("SIP/2.0 180"));
      await places("picks up", play.picksUp, colleague, { to: lane.username, keys: { dialog } });
    }
    await Promise.all(running.map((sipp) => sipp.ends(20_000)));
    if (play.hears) {
      const said = (status) => phone.has("NOTIFY ", "", ({ body }) => body.startsWith(`SIP/2.0 ${status}`));
      assert.match((await said(100)).headers["subscription-state"], /^active/);
      assert.match((await said(play.hears)).headers["subscription-state"], /^terminated/);
    }
    await server.endedCall(from);
  } finally {
    for (const sipp of running) await sipp.close();
    for (const phone of lent) await phone.leave();
  }
}
