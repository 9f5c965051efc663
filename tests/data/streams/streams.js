// Windows, joins, aggregates and patterns of one key, all at once. `streams.py` does the same.

import { Output, aggregate, join, pattern, window } from "wasmill";

const { Count, Distinct, Quantile, Rows, Sum, Top } = aggregate;

const minutes = window
  .tumbling(60_000, { disorderMs: 5_000, latenessMs: 10_000 })
  .of({ n: new Count(), sum: new Sum(), who: new Distinct(), half: new Quantile(), top: new Top(3) });
const visits = window.session(30_000, { disorderMs: 5_000 }).of([new Count(), new Rows(4)]);
const hour = new window.Rolling(3_600_000, 60_000, new Sum());
const pairs = new join.Join(0, 20_000, { disorderMs: 5_000 });
const rise = pattern
  .begin("low", (sale) => sale.amount < 50)
  .followedBy("high", (sale, seen) => sale.amount > 2 * seen.last("low").amount)
  .within(40_000)
  .skip(pattern.skip.pastLast)
  .kept("rise");

export function handle(event) {
  const sale = event.json();
  const added = minutes.onEvent("minutes", event.timeNs, ({ n, sum, who, half, top }) => {
    n.add();
    sum.add(sale.amount);
    who.add(sale.who);
    half.add(sale.amount);
    top.add(sale.who);
  });
  const visited = visits.onEvent("visits", event.timeNs, ([n, rows]) => {
    n.add();
    rows.add(sale.who);
  });
  const kept = hour.onEvent("hour", event.timeNs, (total) => total.add(sale.amount));
  const joined = pairs.onEvent("pairs", event.timeNs, sale.side, sale.who);
  return Output.json("out", {
    late: [added.late, visited.late, joined.late],
    minutes: told(added.closed),
    visits: told(visited.closed),
    hour: hour.over(kept, event.timeNs).get(),
    pairs: joined.pairs,
    alone: alone(joined.unmatched),
    rises: risen(rise.advance(sale)),
  });
}

export function onTimer(timer) {
  switch (timer.name) {
    case "rise": return Output.json("out", risen(rise.onTimer(timer)));
    case "pairs": return Output.json("out", alone(pairs.onTimer("pairs")));
    default: return Output.json("out", told((timer.name === "minutes" ? minutes : visits).onTimer(timer.name)));
  }
}

const inMs = ({ startNs, endNs }) => ({ start_ms: Number(startNs / 1_000_000n), end_ms: Number(endNs / 1_000_000n) });

const told = (closed) => closed.map(({ window, value, replaces }) => [inMs(window), aggregate.dump(value), replaces.map(inMs)]);

const alone = (unmatched) => unmatched.map(({ side, value }) => [side, value]);

const risen = ({ matches, timeouts }) =>
  [...matches, ...timeouts].map(({ events }) => events.map(({ name, event }) => [name, event]));
