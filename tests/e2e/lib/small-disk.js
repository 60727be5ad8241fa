// A disk so small that a call fills it.

import fs from "node:fs/promises";
import path from "node:path";
import { run } from "./processes.js";

/** Why there can't be one here, or `false`. */
export async function noSmallDisk() {
  if (process.getuid() !== 0) return "mounting a small disk needs root";
  const folder = await fs.mkdtemp("/tmp/trunkline-mount-");
  try {
    const mounted = await run("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]);
    if (mounted.code !== 0) return `a small disk can't be mounted here: ${mounted.stderr.trim()}`;
    await run("umount", [folder]);
    return false;
  } finally {
    await fs.rmdir(folder);
  }
}

export class SmallDisk {
  static async mount(folder, size) {
    await fs.mkdir(folder, { recursive: true });
    const mounted = await run("mount", ["-t", "tmpfs", "-o", `size=${size},mode=700`, "tmpfs", folder]);
    if (mounted.code !== 0) throw new Error(mounted.stderr);
    const disk = new SmallDisk();
    disk.outlivesServer = true;
    disk.folder = folder;
    return disk;
  }

  /** Leaves not one byte. */
  async fill() {
    const file = await fs.open(path.join(this.folder, "filler"), "a");
    try {
      for (const size of [1 << 20, 1 << 12, 1]) while (await fits(file, size));
    } finally {
      await file.close();
    }
  }

  async makeRoom() {
    await fs.rm(path.join(this.folder, "filler"));
  }

  async close() {
    if (this.closed) return;
    this.closed = true;
    await run("umount", ["-l", this.folder]);
  }
}

async function fits(file, size) {
  try {
    return (await file.write(Buffer.alloc(size))).bytesWritten === size;
  } catch (error) {
    if (error.code === "ENOSPC") return false;
    throw error;
  }
}
