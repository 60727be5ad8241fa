// Arrows point down only: faces → services → adapters → pure crates. Reads what cargo knows.
import { execFileSync } from "node:child_process";

const layers = [
  ["model", "calls", "connector"],
  ["sip", "media", "store", "vault", "outbound", "archive"],
  ["phone", "gateway", "accounts"],
  ["cloudtalk-api", "membrane-api", "console-api", "sign-in"],
  ["trunkline"],
];
const layerOf = new Map(layers.flatMap((names, level) => names.map((name) => [name, level])));
// What a pure crate may never link, and who alone may link the heavy parts.
const barredFromPure = ["tokio", "mio", "reqwest", "hyper", "axum", "sea-orm", "sqlx"];
const owners = { "sea-orm": ["store"], "sea-orm-migration": ["store"], sqlx: ["store"], rsipstack: ["sip"] };

// Programs that know the product from outside alone.
const overTheNetwork = new Map([
  ["membrane-cli", "speaks HTTP only"],
  ["bench", "judges running programs from outside"],
]);

const metadata = JSON.parse(execFileSync("cargo", ["metadata", "--format-version", "1", "--no-deps", "--offline"], { maxBuffer: 1 << 28 }));
const problems = [];
for (const crate of metadata.packages) {
  const wanted = crate.dependencies.filter((dependency) => dependency.kind !== "dev").map((dependency) => dependency.name);
  if (overTheNetwork.has(crate.name)) {
    for (const name of wanted) if (layerOf.has(name)) problems.push(`${crate.name} ${overTheNetwork.get(crate.name)}, but depends on ${name}`);
    continue;
  }
  const level = layerOf.get(crate.name);
  if (level === undefined) {
    problems.push(`${crate.name} has no layer: add it to scripts/check-layers.mjs and ARCHITECTURE.md`);
    continue;
  }
  for (const name of wanted) {
    const below = layerOf.get(name);
    if (below === undefined) {
      if (level === 0 && barredFromPure.includes(name)) problems.push(`${crate.name} is pure, but depends on ${name}`);
      if (owners[name] && !owners[name].includes(crate.name)) problems.push(`only ${owners[name].join(", ")} may depend on ${name}, but ${crate.name} does`);
      continue;
    }
    const sameLayer = below === level && level !== 0;
    if (below > level || sameLayer) problems.push(`${crate.name} depends on ${name}, which is not below it`);
  }
}
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
console.log(`layers hold: ${metadata.packages.length} crates`);
