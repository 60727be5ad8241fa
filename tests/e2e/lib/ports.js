// Ports nobody uses. They are found by binding and let go again, so a small race stays; a test that loses it says so.

import dgram from "node:dgram";
import net from "node:net";
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

/** One port free on TCP and on UDP. */
export async function freePort() {
  for (let attempt = 0; attempt < 50; attempt++) {
    const listener = await tcp(0);
    const { port } = listener.address();
    try {
      await close(await udp(port));
      return port;
    } catch {
      // Somebody has it on UDP; another one then.
    } finally {
      await close(listener);
    }
  }
  throw new Error("no port is free on both TCP and UDP");
}

/** The first of `count` UDP ports in a row, even as RTP wants it. */
export async function freeRange(count) {
  for (let attempt = 0; attempt < 50; attempt++) {
    const first = 20_000 + 2 * Math.floor(Math.random() * 10_000);
    const taken = [];
    try {
      for (let port = first; port < first + count; port++) taken.push(await udp(port));
      return first;
    } catch {
      // One of them is in use; somewhere else then.
    } finally {
      await Promise.all(taken.map(close));
    }
  }
  throw new Error(`no ${count} UDP ports in a row are free`);
}
