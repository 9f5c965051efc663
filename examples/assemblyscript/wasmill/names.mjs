// A transform of the AssemblyScript compiler: gives exports the names that the contract has for them, which no identifier
// of the language can be.

const NAMES = {
  wasmillHandle: ["wasmill:plugin/handler@0.1.0#handle"],
  wasmillDescribe: ["wasmill:plugin/description@0.1.0#describe"],
  wasmillRead: [
    "cabi_post_wasmill:plugin/handler@0.1.0#handle",
    "cabi_post_wasmill:plugin/description@0.1.0#describe",
  ],
};

export default class Names {
  afterCompile(module) {
    // An author looks for his own functions in a backtrace.
    this.binaryen.setPassArgument("no-inline", "assembly/*");
    module.runPasses(["no-inline"]);
    const kept = new Set(["memory", "cabi_realloc", "_initialize"]);
    for (let i = module.getNumExports() - 1; i >= 0; i--) {
      const { name, value } = this.binaryen.getExportInfo(module.getExportByIndex(i));
      if (kept.has(name)) continue;
      module.removeExport(name);
      for (const external of NAMES[name] ?? []) module.addFunctionExport(value, external);
    }
  }
}
