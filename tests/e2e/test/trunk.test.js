// Carriers' connections: added, registered, tried, limited and removed while the server runs.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { Carrier } from "../lib/carrier.js";
import { freePort } from "../lib/ports.js";
import { run } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { TRUNKLINE } from "../lib/server.js";
import { until } from "../lib/until.js";

async function operator(scene, ...args) {
  return run(TRUNKLINE, [...args, "--data", scene.server.data]);
}

async function operate(scene, ...args) {
  const ran = await operator(scene, ...args);
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout;
}

const trunks = async (scene) => JSON.parse(await operate(scene, "trunk", "list", "--json"));

scene("a trunk registers with its carrier, and a test says what is wrong", async (scene) => {
  const carrier = scene.adds(await Carrier.open({ account: { username: "acme", password: "s3cret" } }));
  const password = `${scene.server.folder}/password`;
  await fs.writeFile(password, "wrong\n", { mode: 0o600 });
  await operate(scene, "trunk", "add", "main", "--server", carrier.server, "--transport", "udp", "--username", "acme", "--register", "true", "--password-file", password);

  await scene.step("a wrong password fails and says so", async () => {
    const failing = await until("the trunk to fail", async () => (await trunks(scene)).find(({ state }) => state === "failing"));
    assert.match(failing.detail, /user name or password/);
    const test = await operator(scene, "trunk", "test", "main");
    assert.equal(test.code, 1);
    assert.match(test.stdout, /FAIL register/);
    assert.match(test.stdout, /hint: check user name and password/);
    assert.equal(carrier.registrations.length, 0);
  });

  await scene.step("the right one registers without a restart", async () => {
    await fs.writeFile(password, "s3cret\n");
    await operate(scene, "trunk", "change", "main", "--password-file", password);
    await carrier.isRegistered();
    const up = await until("the trunk to be registered", async () => (await trunks(scene)).find(({ state }) => state === "registered"));
    assert.equal(up.has_password, true);
    const test = await operate(scene, "trunk", "test", "main");
    assert.match(test, /main works/);
  });

  await scene.step("no secret is shown or stored", async () => {
    const shown = await operate(scene, "trunk", "show", "main");
    assert.doesNotMatch(shown, /s3cret/);
    const { events } = JSON.parse(shown);
    assert.deepEqual(events.map(({ state }) => state).slice(0, 1), ["registered"]);
    assert.ok(events.some(({ state }) => state === "failing"));
    const database = await fs.readFile(`${scene.server.data}/trunkline.db`);
    assert.equal(database.includes("s3cret"), false);
    assert.doesNotMatch(scene.server.program.log, /s3cret/);
  });

  await scene.step("it is gone when it is removed", async () => {
    await operate(scene, "trunk", "remove", "main");
    assert.deepEqual(await trunks(scene), []);
  });
});

scene("a test says why a carrier can't be reached", async (scene) => {
  const add = (name, server, ...flags) => operate(scene, "trunk", "add", name, "--server", server, ...flags);
  await add("nameless", "no-such-host.invalid", "--transport", "udp");
  await add("deaf", `127.0.0.1:${await freePort()}`, "--transport", "tcp");
  for (const [name, said] of [["nameless", /has no address/], ["deaf", /connection to .* failed/]]) {
    const test = await operator(scene, "trunk", "test", name);
    assert.equal(test.code, 1, name);
    assert.match(test.stdout, said);
    assert.match(test.stdout, /hint: /);
  }
  const wrong = await operator(scene, "trunk", "add", "bad", "--server", "a b", "--source", "203.0.113.0/40");
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /server: must be a host/);
  assert.match(wrong.stderr, /sources: must be networks/);
  const twice = await operator(scene, "trunk", "add", "deaf", "--server", "127.0.0.1");
  assert.match(twice.stderr, /another trunk is called deaf/);
  assert.match((await operator(scene, "trunk", "test", "nobody")).stderr, /there is no trunk nobody/);
});
