// The SDK: everything that a plugin needs, under one name.

export { Event, Header } from "./event";
export { Answer, Output, done, emit, emitAll, reject, retry } from "./answer";
export { Json } from "./json";
export { console } from "./console";
export { clock, config, log, random } from "./host";
export { About, plugin } from "./plugin";
export { Refusal, lookup, state, takeRefusal, timers } from "./keyed";
export { Timer, onTimer } from "./timer";
export { Migrated, onMigrate } from "./migrate";
