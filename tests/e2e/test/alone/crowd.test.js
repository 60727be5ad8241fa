// Twenty callers for four agents: everybody in turn, nobody lost, no agent rung twice at once.

import assert from "node:assert/strict";
import { facts, wholeFacts } from "../../lib/ledger.js";
import { scene } from "../../lib/scene.js";
import { until } from "../../lib/until.js";

const CALLERS = 20;
const AGENT_HZ = 700;
const MOMENT_MS = 50;

scene("twenty callers at once for four agents", async (scene) => {
  const { server } = scene;
  for (const { username } of server.demo.sip.agents) await scene.phone(username, { frequency: AGENT_HZ });
  const numbers = Array.from({ length: CALLERS }, (_, n) => `+4219000008${String(n).padStart(2, "0")}`);
  const callers = await Promise.all(numbers.map((from) => scene.userAgent({ from })));
  await Promise.all(callers.map((caller) => caller.isAnswered()));
  await Promise.all(callers.map((caller) => caller.audio.hearsSound()));
  // One key after the other: who came first must be beyond doubt. The announcement after it is as long for everybody.
  const pressed = async () => (await facts(server)).filter((fact) => fact.type === "digit_pressed").length;
  for (const [n, caller] of callers.entries()) {
    caller.audio.press(n % 2 ? "2" : "1");
    await until(`the key of caller ${n}`, async () => (await pressed()) > n);
  }

  // Each says a word with his agent and hangs up, so that the line moves on.
  const served = callers.map(async (caller) => {
    await caller.audio.hearsTone(AGENT_HZ, 0.5, 120_000);
    assert.equal(await caller.hangup(), 200);
  });
  const outcomes = await Promise.allSettled(served);
  const lost = outcomes.filter((outcome) => outcome.status === "rejected").map((outcome, n) => `${n}: ${outcome.reason.message}`);
  assert.deepEqual(lost, []);

  const calls = await until("all to be listed as ended", async () => {
    const listed = await server.calls();
    return listed.length === CALLERS && listed.every((call) => call.Cdr.ended_at) && listed;
  }, { within: 20_000, every: 300 });
  assert.deepEqual(calls.map((call) => call.Cdr.public_external).sort(), numbers);
  for (const { Cdr } of calls) assert.ok(Cdr.answered_at && Cdr.user_id && Cdr.recorded && !Cdr.is_voicemail, JSON.stringify(Cdr));

  await scene.step("first come, first served, in each queue", async () => {
    // Each call writes its own facts, so their order is not that of the decisions: a caller's place is when he joined, an
    // offer's its number.
    const all = await facts(server);
    const inOrder = (type, group, place) => all.filter((fact) => fact.type === type && fact.group === group).sort((one, other) => one[place] - other[place]);
    for (const group of new Set(all.filter((fact) => fact.type === "queue_joined").map((fact) => fact.group))) {
      const joined = inOrder("queue_joined", group, "at");
      const offers = inOrder("offer_made", group, "offer");
      const told = () => `group ${group}: ${JSON.stringify({ joined, offers })}`;
      assert.equal(joined.length, CALLERS / 2);
      assert.deepEqual([...new Set(offers.map((fact) => fact.call))], joined.map((fact) => fact.call), told());
    }
  });

  await scene.step("no agent had two calls at once, nor one during his wrap-up", async () => {
    const all = await facts(server);
    for (const agent of server.demo.sip.agents.map(({ id }) => id)) {
      // Each call writes its own facts, so an end and the beginning it allows may change places by a moment.
      const busy = all.filter((fact) => fact.type === "offer_made" && fact.agent === agent).map(({ call, leg, at }) => {
        const end = all.find((fact) => fact.call === call && fact.leg === leg && fact.type === "leg_ended");
        const wrapUp = all.find((fact) => fact.call === call && fact.agent === agent && fact.type === "wrap_up_ended");
        return { call, from: at, to: Math.max(end.at, wrapUp?.at ?? 0) - MOMENT_MS };
      });
      busy.slice(1).forEach((next, index) => assert.ok(next.from >= busy[index].to, `agent ${agent}: ${JSON.stringify([busy[index], next])}`));
    }
  });

  await scene.step("the work was shared", async () => {
    for (const agent of server.demo.sip.agents) {
      const own = calls.filter((call) => call.Cdr.user_id === String(agent.id)).length;
      assert.ok(own >= 3 && own <= 7, `agent ${agent.username} had ${own} of ${CALLERS / 2}`);
    }
  });

  await wholeFacts(server);
  assert.doesNotMatch(server.program.log, /panicked/);
}, { rtpPorts: 200 });
