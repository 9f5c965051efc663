// What sold best in each shop, minute by minute.

import { Output, Reject, aggregate, config, window } from "wasmill";

// For each minute as many products as could be among the best.
const CAPACITY = 100;

const minutes = () => window.spec(config.need("window", "object")).of(new aggregate.Top(CAPACITY));

export function handle(event) {
  const product = event.field("product", "string");
  const quantity = event.field("quantity", "integer");
  if (quantity < 0) {
    throw new Reject(`field \`quantity\`: a sale of ${quantity} is none`);
  }
  const { closed } = minutes().onEvent("minutes", event.timeNs, (top) => top.add(product, quantity));
  return feed(event.key, closed);
}

export function onTimer(timer) {
  return feed(timer.key, minutes().onTimer("minutes"));
}

const feed = (shop, closed) =>
  closed.map(({ window, value }) => {
    const best = value.get(config.need("best", "number")).map(({ label, weight }) => ({ product: label, sold: weight }));
    const minute = new Date(Number(window.startNs / 1_000_000n)).toISOString();
    return Output.json(`feed.${shop}`, { minute, best });
  });
