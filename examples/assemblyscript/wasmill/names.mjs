// A transform of the AssemblyScript compiler: gives exports the names that the contract has for them, which no identifier
// of the language can be.

const NAMES = {
  wasmillHandle: "wasmill:plugin/handler@0.1.0#handle",
  wasmillDescribe: "wasmill:plugin/description@0.1.0#describe",
  wasmillOnTimer: "wasmill:plugin/timers@0.1.0#on-timer",
  wasmillMigrate: "wasmill:plugin/migrate@0.1.0#migrate-field",
};

// Called when the engine has read the answer of any of them.
const READ = "wasmillRead";

export default class Names {
  afterCompile(module) {
    // An author looks for his own functions in a backtrace.
    this.binaryen.setPassArgument("no-inline", "assembly/*");
    module.runPasses(["no-inline"]);
    const kept = new Set(["memory", "cabi_realloc", "_initialize"]);
    const exports = Array.from({ length: module.getNumExports() }, (_, i) =>
      this.binaryen.getExportInfo(module.getExportByIndex(i)),
    );
    const read = exports.find(({ name }) => name === READ)?.value;
    for (const { name, value } of exports.filter(({ name }) => !kept.has(name))) {
      module.removeExport(name);
      if (!(name in NAMES)) continue;
      module.addFunctionExport(value, NAMES[name]);
      module.addFunctionExport(read, `cabi_post_${NAMES[name]}`);
    }
  }
}
