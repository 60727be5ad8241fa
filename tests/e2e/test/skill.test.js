// The whole line through the product: a real call, then an agent that follows the published instructions word by word.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { RATE, amplitude, readWav, stretchOf, tone } from "../lib/audio.js";
import { Person } from "../lib/browser.js";
import { Membrane, quoted } from "../lib/membrane.js";
import { Program } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { until } from "../lib/until.js";

const CALLER = "+421900000777";
const CALLER_HZ = 440;
const AGENT_HZ = 700;

const ACTIONS = [
  "get-call-recording", "send-sms", "get-agent", "list-agents", "get-call", "list-calls", "add-tags-to-contact", "delete-contact",
  "update-contact", "create-contact", "get-contact", "list-contacts",
];

/** What somebody would say, and the action that must come first. */
const INTENTS = {
  "send a text message": "send-sms",
  "download the recording of a call": "get-call-recording",
  "list all agents": "list-agents",
  "add tags to a contact": "add-tags-to-contact",
  "create a new contact": "create-contact",
  "delete a contact": "delete-contact",
};

scene("an agent that follows the instructions finds the call and downloads its recording", async (scene) => {
  const { server } = scene;
  const call = await scene.step("a caller presses 1 and talks with agent 1001", () => placeCall(scene));

  const membrane = await Membrane.at(server);
  const person = await Person.arrives();
  scene.adds({ close: () => person.leaves() });

  await scene.step("login, with the page in a browser", () => logIn(membrane, person, server));
  const con = await scene.step("connection ensure, connect page, connection get --wait", () => connect(membrane, person));
  await scene.step("action list ranks by intent", () => rank(membrane, con));
  await scene.step("the twelve actions", () => runAll(membrane, con, server, call));
  await scene.step("request, with every flag", () => request(membrane, con, call));
  await scene.step("both voices are in their channels", async () => {
    await membrane.does(`membrane request ${con} /calls/recording/${call.Cdr.id}.json > call.wav`);
    channels(await fs.readFile(membrane.file("call.wav")));
  });
  await scene.step("login in a terminal comes back by itself", () => logInAtTerminal(scene, person));
  await scene.step("logout", async () => {
    await membrane.does("membrane logout");
    await membrane.fails("membrane connection list", 1);
  });
});

async function placeCall(scene) {
  const phone = await scene.phone("1001", { frequency: AGENT_HZ });
  const caller = await scene.caller({ from: CALLER });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  caller.audio.play(tone(CALLER_HZ, 1));
  await caller.audio.hearsTone(AGENT_HZ, 2);
  await caller.hangup();
  await caller.ends();
  await phone.sees("CALL_CLOSED");
  const call = await scene.server.endedCall(CALLER);
  assert.equal(call.Cdr.type, "incoming");
  assert.equal(call.Cdr.public_internal, scene.server.number);
  assert.equal(call.Cdr.recorded, true);
  assert.equal(call.Cdr.is_voicemail, false);
  assert.equal(call.Cdr.user_id, String(scene.server.agent("1001").id));
  assert.ok(call.Cdr.answered_at && call.Cdr.recording_link, JSON.stringify(call.Cdr));
  assert.ok(Number(call.Cdr.talking_time) >= 1, JSON.stringify(call.Cdr));
  return call;
}

async function logIn(membrane, person, server) {
  const ran = await membrane.does("membrane login --tenant --clientName=claude");
  const url = ran.stdout.match(/https?:\S+/)?.[0];
  assert.ok(url, ran.stdout);
  const code = await person.authorises(url, server.demo.console);
  await membrane.does(`membrane login complete ${quoted(code)}`);
  for (const [file, mode] of [[".membrane", 0o700], [".membrane/credentials.json", 0o600]]) {
    assert.equal((await fs.stat(membrane.file(file))).mode & 0o777, mode, file);
  }
  const status = await membrane.json("membrane status --json");
  assert.equal(status.loggedIn, true);
  assert.equal(status.workspaceKey, server.demo.membrane.workspaceKey);
  assert.equal(status.tenantKey, server.demo.membrane.tenantKey);
}

/** With a terminal the browser hands the code over itself, to a listener of the command line. */
async function logInAtTerminal(scene, person) {
  const membrane = await Membrane.at(scene.server);
  // `script` gives the command a terminal; BROWSER=true is a browser that opens nothing.
  const options = { cwd: membrane.home, env: { ...membrane.env, BROWSER: "true", TERM: "dumb" }, stdio: ["pipe", "pipe", "pipe"] };
  const login = new Program("membrane login", "script", ["-qec", "membrane login --tenant --clientName=codex", "/dev/null"], options);
  scene.adds({ program: login, close: () => login.stop() });
  const url = await until("the address", () => login.log.match(/http:\S+oauth\/authorize\S+/)?.[0]);
  assert.match(new URL(url).searchParams.get("redirect_uri"), /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  await person.page.goto(url);
  await person.page.getByRole("button", { name: "Allow" }).click();
  await person.page.getByRole("heading", { name: "You are signed in" }).waitFor();
  assert.equal((await login.finish(10_000)).code, 0);
  assert.match(login.log, /Logged in to/);
  assert.equal((await membrane.json("membrane connection list --json")).items.length, 1);
}

async function connect(membrane, person) {
  const first = await membrane.json('membrane connection ensure "https://www.cloudtalk.io/" --json');
  assert.equal(first.state, "CLIENT_ACTION_REQUIRED");
  assert.equal(first.clientAction.type, "connect");
  assert.ok(first.clientAction.description);
  const again = await membrane.json('membrane connection ensure "https://www.cloudtalk.io/" --json');
  assert.equal(again.id, first.id, "the same address gives the same connection");

  // Signed in already: the sign-in of the command line was in this browser.
  await person.page.goto(first.clientAction.uiUrl);
  await person.connectsThisPhone();

  const ready = await membrane.json(`membrane connection get ${first.id} --wait --json`);
  assert.equal(ready.state, "READY", JSON.stringify(ready));
  assert.equal(ready.clientAction, undefined);
  assert.equal((await membrane.json('membrane connection ensure "https://www.cloudtalk.io/" --json')).state, "READY");
  const listed = await membrane.json("membrane connection list --json");
  assert.deepEqual(listed.items.map((item) => item.id), [first.id]);
  return first.id;
}

async function rank(membrane, con) {
  for (const [intent, expected] of Object.entries(INTENTS)) {
    const found = await membrane.json(`membrane action list --connectionId=${con} --intent ${quoted(intent)} --limit 10 --json`);
    assert.equal(found.items[0]?.key, expected, `${intent}: ${found.items.map((item) => item.key)}`);
    for (const member of ["id", "name", "description", "inputSchema", "outputSchema"]) {
      assert.ok(found.items[0][member], `${expected} has no ${member}`);
    }
  }
  const all = await membrane.json(`membrane action list --connectionId=${con} --limit 100 --json`);
  assert.deepEqual(all.items.map((item) => item.key).sort(), [...ACTIONS].sort());
}

async function runAll(membrane, con, server, ended) {
  const done = new Set();
  const run = async (key, input) => {
    done.add(key);
    const given = input ? ` --input ${quoted(JSON.stringify(input))}` : "";
    const result = await membrane.json(`membrane action run ${key} --connectionId=${con}${given} --json`);
    assert.ok(result.actionRunId, `${key} has no run id`);
    const log = await membrane.json(`membrane action-run-log get ${result.actionRunId} --json`);
    assert.equal(log.status, "success");
    return result.output;
  };

  const agents = (await run("list-agents")).responseData;
  assert.ok(agents.itemsCount >= 4, JSON.stringify(agents));
  const agentId = String(server.agent("1001").id);
  assert.equal((await run("get-agent", { agentId })).Agent.id, agentId);

  const calls = (await run("list-calls", { limit: 5 })).responseData.data;
  const found = calls.find((item) => item.Cdr.public_external === CALLER);
  assert.equal(found?.Cdr.id, ended.Cdr.id);
  assert.equal((await run("get-call", { callId: ended.Cdr.id })).Cdr.public_internal, server.number);

  const recording = await run("get-call-recording", { callId: ended.Cdr.id });
  assert.match(recording.contentType, /^audio\/(x-)?wav/);
  assert.equal(recording.encoding, "base64");
  const bytes = Buffer.from(recording.data, "base64");
  assert.equal(bytes.length, recording.size);
  channels(bytes);

  const sent = await run("send-sms", { recipient: "+421900000555", message: "Hello from the test", sender: server.number });
  assert.equal(sent.responseData.success, true);

  const made = await run("create-contact", { name: "Ada Example", phone_numbers: ["+421900000555"] });
  const contactId = String(made.responseData.data.id);
  const tagged = await run("add-tags-to-contact", { contactId, tags: ["e2e-tag"] });
  assert.ok(tagged);
  await run("update-contact", { contactId, name: "Ada Changed" });
  const contact = JSON.stringify(await run("get-contact", { contactId }));
  for (const part of ["Ada Changed", "e2e-tag", "421900000555"]) assert.ok(contact.includes(part), `${part} is not in ${contact}`);
  const list = (await run("list-contacts", { keyword: "Ada Changed" })).responseData;
  assert.deepEqual(list.data.map((item) => item.Contact.id), [contactId]);
  await run("delete-contact", { contactId });
  const gone = await membrane.fails(`membrane action run get-contact --connectionId=${con} --input ${quoted(JSON.stringify({ contactId }))} --json`, 1);
  assert.ok(gone.message, JSON.stringify(gone));
  assert.deepEqual([...done].sort(), [...ACTIONS].sort(), "every action ran");
}

async function request(membrane, con, ended) {
  const plain = await membrane.json(`membrane request ${con} /agents/index.json`);
  assert.ok(plain.responseData.itemsCount >= 4);

  const asked = `membrane request ${con} /calls/index.json --query limit=1 --query=call_id=${ended.Cdr.id} -H "X-Note: test" --json`;
  const { status, headers, data } = await membrane.json(asked);
  assert.equal(status, 200);
  assert.match(headers["content-type"], /^application\/json/);
  assert.deepEqual(data.responseData.data.map((item) => item.Cdr.id), [ended.Cdr.id]);

  const add = `membrane request ${con} /contacts/add.json -X PUT --json '{"name": "Path Example"}'`;
  const contact = String((await membrane.json(add)).responseData.data.id);
  const shown = await membrane.json(`membrane request ${con} '/contacts/show/{id}.json' --pathParam id=${contact}`);
  assert.ok(JSON.stringify(shown).includes("Path Example"));
  const edit = `membrane request ${con} '/contacts/edit/{id}.json' --method POST --header 'Content-Type: application/json' --data '{"name":"Data Example"}' --rawData --pathParam=id=${contact}`;
  assert.equal((await membrane.json(edit)).responseData.status, 200);
  const form = `membrane request ${con} /contacts/edit/${contact}.json -X POST -H 'Content-Type: application/x-www-form-urlencoded' -d 'name=Form%20Example'`;
  assert.equal((await membrane.json(form)).responseData.status, 200);
  const renamed = await membrane.json(`membrane request ${con} /contacts/show/${contact}.json`);
  assert.ok(JSON.stringify(renamed).includes("Form Example"), JSON.stringify(renamed));
  assert.equal((await membrane.json(`membrane request ${con} /contacts/delete/${contact}.json -X DELETE`)).responseData.status, 200);

  await membrane.does(`membrane request ${con} /calls/recording/${ended.Cdr.id}.json --output saved.wav`);
  channels(await fs.readFile(membrane.file("saved.wav")));

  const missing = await membrane.fails(`membrane request ${con} /contacts/show/999999999.json --json`, 1);
  assert.equal(missing.status, 404);
  // A value that looks like a path stays one segment (the app has no such contact), or is refused before it gets there.
  for (const id of ["a/b", "../../agents/index", "..%2f..%2fagents%2findex"]) {
    const trick = await membrane.fails(`membrane request ${con} '/contacts/show/{id}.json' --pathParam ${quoted(`id=${id}`)} --json`, 1);
    assert.ok(trick.type === "bad_request" || [400, 404].includes(trick.status), `${id}: ${JSON.stringify(trick)}`);
    assert.ok(!JSON.stringify(trick).includes("firstname"), JSON.stringify(trick));
  }
  await membrane.fails(`membrane request ${con} /../connections`, 2);
  await membrane.fails(`membrane request ${con} '/contacts/show/{id}.json' --pathParam id=..`, 2);
}

/** Left is the caller, right the agent; neither is in the other. */
function channels(bytes) {
  const recording = readWav(bytes);
  assert.equal(recording.rate, RATE);
  assert.equal(recording.channels.length, 2);
  const [left, right] = recording.channels;
  for (const [name, samples, own, other] of [["left", left, CALLER_HZ, AGENT_HZ], ["right", right, AGENT_HZ, CALLER_HZ]]) {
    const stretch = stretchOf(samples, own, 1);
    assert.ok(stretch, `a second of ${own} Hz is not in the ${name} channel`);
    const [has, leaks] = [amplitude(stretch, own), amplitude(stretch, other)];
    assert.ok(has > 0.2, `${name}: ${own} Hz has amplitude ${has}`);
    assert.ok(leaks < has / 30, `${name}: ${other} Hz leaks in with ${leaks} against ${has}`);
  }
}
