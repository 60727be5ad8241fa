// Ports nobody uses. They are found by binding and let go again, so a small race stays; a test that loses it says so.
// Test files that run at the same time look in different parts of the ranges.

import dgram from "node:dgram";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { once } from "node:events";

const HOST = "127.0.0.1";

async function tcp(port) {
  const server = net.createServer();
  server.listen(port, HOST);
  await Promise.race([once(server, "listening"), once(server, "error").then(([error]) => Promise.reject(error))]);
  return server;
}

export async function udp(port) {
  const socket = dgram.createSocket("udp4");
  socket.bind(port, HOST);
  await Promise.race([once(socket, "listening"), once(socket, "error").then(([error]) => Promise.reject(error))]);
  return socket;
}

const close = (it) => new Promise((resolve) => it.close(resolve));

/** Above 10080, which fetch refuses, and below what systems give to outgoing connections, so that no such connection takes a port between here and its use. */
const SIGNALLING = { from: 10_100, count: 9_900 };
const MEDIA = { from: 20_000, count: 12_000 };

const PARTS = 4;

/** Whether a process of this number is there. */
function runs(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** The part of the ranges that this process has to itself, or nothing where all are taken. */
function claimed() {
  for (let part = 0; part < PARTS; part++) {
    const claim = path.join(os.tmpdir(), `trunkline-e2e-ports-${part}`);
    try {
      if (fs.existsSync(claim) && !runs(Number(fs.readFileSync(claim, "utf8")))) fs.rmSync(claim, { force: true });
      fs.writeFileSync(claim, String(process.pid), { flag: "wx" });
    } catch {
      continue;
    }
    process.once("exit", () => fs.rmSync(claim, { force: true }));
    return part;
  }
  return undefined;
}

let part;
function ours({ from, count }) {
  part ??= claimed() ?? -1;
  if (part < 0) return { from, count };
  const share = 2 * Math.floor(count / PARTS / 2);
  return { from: from + part * share, count: share };
}

/** Handed out already by this process, and perhaps not bound yet. */
const given = new Set();

async function inARow(all, count, bind) {
  const range = ours(all);
  for (let attempt = 0; attempt < 100; attempt++) {
    const first = range.from + 2 * Math.floor((Math.random() * (range.count - count)) / 2);
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if (ports.some((port) => given.has(port))) continue;
    const taken = [];
    try {
      for (const port of ports) for (const open of bind) taken.push(await open(port));
      ports.forEach((port) => given.add(port));
      return first;
    } catch {
      // One of them is in use; somewhere else then.
    } finally {
      await Promise.all(taken.map(close));
    }
  }
  throw new Error(`no ${count} ports in a row are free`);
}

/** A port, or the first of several in a row, free on TCP and on UDP. */
export const freePort = (count = 1) => inARow(SIGNALLING, count, [tcp, udp]);

/** The first of `count` UDP ports in a row, even as RTP wants it. */
export const freeRange = (count) => inARow(MEDIA, count, [udp]);
