// A first start without the demo: from the printed link to an owner who uses his company.

import assert from "node:assert/strict";
import { Person } from "../lib/browser.js";
import { Membrane, quoted } from "../lib/membrane.js";
import { scene } from "../lib/scene.js";
import { until } from "../lib/until.js";

const OWNER = { email: "owner@first.example", password: "four words that I like" };

scene("the one-time link makes the owner, once", async (scene) => {
  const { server } = scene;
  const link = async () => {
    await until("the announcement", () => server.program.log.includes("Ctrl-C ends it"));
    return server.program.log.match(/http:\S+\/setup\/\S+/)?.[0];
  };
  const first = await link();
  assert.ok(first, server.program.log);
  const person = await Person.arrives();
  scene.adds({ close: () => person.leaves() });
  const { page } = person;

  await scene.step("a restart makes a new link, and the old one is dead", async () => {
    await server.program.stop("SIGTERM");
    await server.boot();
    assert.notEqual(await link(), first);
    const answer = await page.goto(first);
    assert.ok(answer.status() >= 400, String(answer.status()));
    assert.equal(await page.getByRole("button", { name: "Create company" }).count(), 0);
  });

  await scene.step("what is wrong with the form is said, and the link still works", async () => {
    await page.goto(await link());
    await page.getByLabel("Company").fill("First Example");
    await page.getByLabel("Time zone").fill("Europe/Nowhere");
    await page.getByLabel("Country").fill("SK");
    await page.getByLabel("Your name").fill("Ada Example");
    await page.getByLabel("Email").fill(OWNER.email);
    await page.getByLabel("Password").fill(OWNER.password);
    await page.getByRole("button", { name: "Create company" }).click();
    assert.match(await page.getByRole("alert").textContent(), /time zone/i);
    assert.equal(await page.getByLabel("Company").inputValue(), "First Example", "what was typed stays");
  });

  await scene.step("the owner comes in and sees an empty list of calls", async () => {
    await page.getByLabel("Time zone").fill("Europe/Bratislava");
    await page.getByLabel("Password").fill(OWNER.password);
    await page.getByRole("button", { name: "Create company" }).click();
    await page.getByRole("heading", { name: "Calls", exact: true }).waitFor();
    await page.getByText("No calls yet").waitFor();
    await person.photographs("set-up-empty-calls");
  });

  await scene.step("the link is dead now, also after a restart", async () => {
    const used = await link();
    assert.ok((await page.goto(used)).status() >= 400);
    await server.program.stop("SIGTERM");
    await server.boot();
    assert.equal(await link(), undefined, "no new one is offered");
    assert.ok((await page.goto(used)).status() >= 400);
    const forced = await fetch(used, { method: "POST", body: new URLSearchParams({ company: "Second", time_zone: "Europe/Bratislava", country: "SK", name: "Eve", email: "eve@first.example", password: "another password" }) });
    assert.ok(forced.status >= 400, String(forced.status));
  });

  await scene.step("he signs in with his password, and out", async () => {
    await page.context().clearCookies();
    await page.goto(server.web);
    await person.signIn(OWNER);
    await page.getByRole("heading", { name: "Calls", exact: true }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.goto(`${server.web}/calls`);
    await page.getByLabel("Password").waitFor();
  });

  await scene.step("membrane login works for his company", async () => {
    server.demo.membrane = { apiUri: `${server.web}/membrane` };
    const membrane = await Membrane.at(server);
    const ran = await membrane.does("membrane login --tenant --clientName=claude");
    const code = await person.authorises(ran.stdout.match(/https?:\S+/)[0], OWNER);
    await membrane.does(`membrane login complete ${quoted(code)}`);
    assert.deepEqual((await membrane.json("membrane connection list --json")).items, []);
    const connection = await membrane.json('membrane connection ensure "https://www.cloudtalk.io/" --json');
    await page.goto(connection.clientAction.uiUrl);
    await person.connectsThisPhone();
    const agents = await membrane.json(`membrane action run list-agents --connectionId=${connection.id} --json`);
    assert.equal(agents.output.responseData.itemsCount, 0, "a company of one owner has no agents yet");
  });
}, { demo: false });
