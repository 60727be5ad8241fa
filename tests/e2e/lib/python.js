// Python packages that only tests need, in a folder of their own beside the tests.

import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./processes.js";

const FOLDER = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../.venv");

/** The path of a program in an environment that holds these packages, or why there is none. */
export async function python(...packages) {
  const mark = path.join(FOLDER, `${packages.join("+").replace(/[^\w.+=-]/g, "_")}.installed`);
  const bin = path.join(FOLDER, "bin");
  if (await fs.access(mark).then(() => true, () => false)) return { bin };
  const made = await run("python3", ["-m", "venv", FOLDER], { within: 60_000 }).catch((error) => ({ code: 1, stderr: error.message }));
  if (made.code !== 0) return { why: `python3 can't make an environment: ${made.stderr}` };
  const installed = await run(path.join(bin, "pip"), ["install", "--quiet", ...packages], { within: 600_000 });
  if (installed.code !== 0) return { why: `pip can't install ${packages.join(" ")}: ${installed.stderr.slice(-500)}` };
  await fs.writeFile(mark, "");
  return { bin };
}
