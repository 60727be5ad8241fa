// Carriers' connections: added, registered, tried, limited and removed while the server runs.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { Carrier } from "../lib/carrier.js";
import { accessible } from "../lib/accessible.js";
import { Person } from "../lib/browser.js";
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

scene("a carrier brings calls to the company's numbers, written its way, and to no others", async (scene) => {
  await operate(scene, "trunk", "add", "in", "--server", `127.0.0.1:${await freePort()}`, "--transport", "udp", "--keep-alive", "0", "--source", "127.0.0.1/32", "--numbers", "national", "--country", "SK");
  const caller = await scene.userAgent({ from: "0905000001", to: "0200000001" });
  await caller.isAnswered();
  await caller.hangup();
  const call = await scene.server.endedCall("+421905000001");
  assert.equal(call.Cdr.public_internal, "+421200000001");
  const stranger = await scene.userAgent({ from: "0905000001", to: "0299999999" });
  await stranger.isOver();
  assert.equal(stranger.statuses.at(-1).status, 404);
});

scene("limits, prices and silence decide who is asked", async (scene) => {
  const open = async (name, callee, ...flags) => {
    const carrier = scene.adds(await Carrier.open({ callee }));
    await operate(scene, "trunk", "add", name, "--server", carrier.server, "--transport", "udp", "--keep-alive", "0", ...flags);
    return carrier;
  };
  const dear = await open("dear", "answers");
  const cheap = await open("cheap", "answers");
  const barred = await open("barred", "answers", "--deny", "+4219");
  const prices = `${scene.server.folder}/prices.csv`;
  for (const [name, list] of [["dear", "prefix,price\n+421,0.50"], ["cheap", "421,0.10\n4219,0.05,1"], ["barred", "421,0.01"]]) {
    await fs.writeFile(prices, list);
    await operate(scene, "trunk", "prices", name, prices);
  }
  const phone = await scene.phone("1001", { answer: "manual" });
  phone.command("dial", "0905000777");
  await phone.sees("CALL_ESTABLISHED");
  assert.deepEqual([cheap, dear, barred].map(({ calls }) => calls.length), [1, 0, 0]);
  phone.hangup();
  await phone.sees("CALL_CLOSED");
  const first = await until("the call to be over", async () => (await scene.server.calls()).find(({ Cdr }) => Cdr.ended_at));
  assert.match(first.Cdr.trunk_attempts[0].why, /choice 1 of 2 by cost, 0\.050000 a minute/);
  assert.ok(Number(first.BillingCall.price) > 0 && Number(first.BillingCall.price) < 0.05, first.BillingCall.price);

  await operate(scene, "trunk", "change", "cheap", "--max-calls", "0");
  phone.command("dial", "0905000778");
  await phone.sees("CALL_ESTABLISHED", { times: 2 });
  assert.deepEqual([cheap, dear].map(({ calls }) => calls.length), [1, 1], "the cheap one is full");
  phone.hangup();
  await phone.sees("CALL_CLOSED", { times: 2 });

  await operate(scene, "trunk", "change", "cheap", "--max-calls", "10", "--settings", await settings(scene, { setup_seconds: 2 }));
  cheap.callee = "silent";
  phone.command("dial", "0905000779");
  await phone.sees("CALL_ESTABLISHED", { times: 3 });
  assert.deepEqual([cheap, dear].map(({ calls }) => calls.length), [2, 2], "the silent one is left");
  assert.equal(await cheap.calls[1].isOver(), "cancelled");
  phone.hangup();
});

async function settings(scene, value) {
  const file = `${scene.server.folder}/settings.json`;
  await fs.writeFile(file, JSON.stringify(value));
  return file;
}

scene("the console adds, tries, changes and removes a trunk", async (scene) => {
  const carrier = scene.adds(await Carrier.open());
  const person = await Person.arrives();
  scene.adds({ close: () => person.leaves() });
  const { page } = person;
  await page.goto(`${scene.server.web}/trunks`);
  await person.signIn(scene.server.demo.console);
  await page.getByRole("heading", { level: 1, name: "Trunks" }).waitFor();
  await page.getByText("No trunks yet").waitFor();

  await page.getByRole("button", { name: "Add trunk" }).first().click();
  const form = page.getByRole("dialog");
  await form.getByRole("textbox", { name: "Name", exact: true }).fill("main");
  await form.getByRole("textbox", { name: "Server", exact: true }).fill("not a host");
  await form.getByRole("button", { name: "Add trunk" }).click();
  await form.getByText(/server: must be a host/).waitFor();
  await form.getByRole("textbox", { name: "Server", exact: true }).fill(carrier.server);
  await form.getByRole("textbox", { name: "User name", exact: true }).fill("acme");
  await form.getByLabel("Password", { exact: true }).fill("s3cret");
  await form.getByRole("button", { name: "Use and limits" }).click();
  await form.getByLabel("Spend a day").fill("12.5");
  await person.photographs("trunk-form");
  await form.getByRole("button", { name: "Add trunk" }).click();
  await form.waitFor({ state: "hidden" });
  const row = page.getByRole("row").filter({ hasText: "main" });
  await row.waitFor();
  await row.getByText("Answering").waitFor();
  await accessible(person, "trunks");
  await page.emulateMedia({ colorScheme: "light" });

  await page.getByRole("button", { name: "Actions for main" }).click();
  await page.getByRole("menuitem", { name: "Test" }).click();
  await page.getByText("It works.").waitFor();
  await person.photographs("trunk-test");
  await page.keyboard.press("Escape");
  await page.getByText("It works.").waitFor({ state: "hidden" });

  await page.getByRole("button", { name: "Add route" }).click();
  await page.getByLabel("Called by members of").first().click();
  await page.getByRole("option", { name: "Sales" }).click();
  await page.keyboard.press("Escape");
  await page.getByRole("switch", { name: "Only at certain hours" }).click();
  await page.getByLabel("Route 1: From").fill("07:30");
  await page.getByLabel("Each agent: Spend a day").fill("2.25");
  await page.getByLabel("Night: To").fill("05:00");
  await page.getByLabel(/Calls at home count/).fill("0.4");
  await accessible(person, "routes");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const shown = (path) => page.evaluate(async (path) => (await fetch(`/console/api${path}`)).json(), path);
  const stored = await until("the route to be stored", async () => {
    const { settings, groups } = await shown("/outgoing");
    return settings.routes.length === 1 && { ...settings, sales: groups.find(({ name }) => name === "Sales").id };
  });
  assert.deepEqual([stored.routes[0].groups, stored.routes[0].hours], [[stored.sales], { from: "07:30:00", to: "18:00:00", days: [1, 2, 3, 4, 5] }]);
  assert.equal(stored.fraud.agent.spend_per_day_micros, 2_250_000);
  assert.deepEqual([stored.fraud.night.hours.to, stored.fraud.night.dear_micros], ["05:00:00", 400_000]);
  assert.equal((await shown("/trunks")).items[0].settings.limits.spend_per_day_micros, 12_500_000);
  await page.setViewportSize({ width: 390, height: 844 });
  // The menu folds away first.
  const wider = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await until("the page to be no wider than a telephone", async () => (await wider()) <= 0);
  await person.photographs("trunks-phone");
  await page.setViewportSize({ width: 1280, height: 800 });

  await page.getByRole("button", { name: "Actions for main" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("No trunks yet").waitFor();
});
