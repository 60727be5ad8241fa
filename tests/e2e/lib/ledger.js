// The facts of calls as they stand in the database, read beside the server. What must hold for every call is checked here.

import assert from "node:assert/strict";
import path from "node:path";
import { run } from "./processes.js";

/** All facts, oldest first: `{call, seq, at, type, …}`. Needs the `sqlite3` command. */
export async function facts(server) {
  const query = "select call_id as call, seq, at, fact from call_events order by id";
  const ran = await run("sqlite3", ["-readonly", "-json", "-cmd", ".timeout 5000", path.join(server.data, "trunkline.db"), query]);
  assert.equal(ran.code, 0, ran.stderr);
  return (ran.stdout.trim() ? JSON.parse(ran.stdout) : []).map(({ fact, ...rest }) => ({ ...rest, ...JSON.parse(fact) }));
}

/** ARCHITECTURE.md, "Invariants": no gaps, one end for each call, each leg and each recording. Gives the facts by call. */
export async function wholeFacts(server) {
  const calls = byCall(await facts(server));
  for (const [call, own] of calls) {
    const told = () => `call ${call}: ${own.map((fact) => `${fact.seq} ${fact.type}`).join(", ")}`;
    const first = own[0].seq;
    assert.deepEqual(own.map((fact) => fact.seq), own.map((_, index) => first + index), told());
    const count = (type, like = () => true) => own.filter((fact) => fact.type === type && like(fact)).length;
    assert.equal(own[0].type, "started", told());
    assert.deepEqual([count("started"), count("ended")], [1, 1], told());
    for (const leg of new Set(own.map((fact) => fact.leg).filter((leg) => leg !== undefined))) {
      assert.equal(count("leg_ended", (fact) => fact.leg === leg), 1, `leg ${leg} of ${told()}`);
    }
    for (const { recording } of own.filter((fact) => fact.type === "recording_started")) {
      const ends = own.filter((fact) => ["recording_stopped", "recording_failed"].includes(fact.type) && fact.recording === recording);
      assert.equal(ends.length, 1, `recording ${recording} of ${told()}`);
    }
    assert.ok(own.every((fact, index) => index === 0 || fact.at >= own[index - 1].at), `time runs backwards in ${told()}`);
  }
  return calls;
}

function byCall(all) {
  const calls = new Map();
  for (const fact of all) calls.set(fact.call, [...(calls.get(fact.call) ?? []), fact]);
  return calls;
}
