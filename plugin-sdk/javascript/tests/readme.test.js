import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const sdk = fileURLToPath(new URL("..", import.meta.url));

test("the plugins of the README pass their tests", () => {
  const folder = mkdtempSync(join(tmpdir(), "wasmill-readme-"));
  try {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(sdk, join(folder, "node_modules", "wasmill"), "junction");
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    const readme = readFileSync(join(sdk, "README.md"), "utf8");
    for (const [, name, code] of readme.matchAll(/^`(\S+\.js)`:\n\n```js\n(.*?)^```/gms)) {
      writeFileSync(join(folder, name), code);
    }
    // Its runner would wait for the one that runs this test.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--test", "plugin.test.js", "silence.test.js"], { cwd: folder, env, encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /pass 3/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
