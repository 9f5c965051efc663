"""Windows, joins, aggregates and patterns of one key, all at once. `streams.js` does the same."""

from wasmill import Output, aggregate, join, pattern, window
from wasmill.aggregate import Count, Distinct, Quantile, Rows, Sum, Top

minutes = window.tumbling(60_000, disorder_ms=5_000, lateness_ms=10_000).of(
    {"n": Count(), "sum": Sum(), "who": Distinct(), "half": Quantile(), "top": Top(3)}
)
visits = window.session(30_000, disorder_ms=5_000).of((Count(), Rows(4)))
hour = window.Rolling(3_600_000, 60_000, Sum())
pairs = join.Join(before_ms=0, after_ms=20_000, disorder_ms=5_000)
rise = (
    pattern.begin("low", lambda sale: sale["amount"] < 50)
    .followed_by("high", lambda sale, seen: sale["amount"] > 2 * seen.last("low")["amount"])
    .within(40_000)
    .skip(pattern.PAST_LAST)
    .kept("rise")
)


def handle(event):
    sale = event.json()

    def take(all):
        all["n"].add()
        all["sum"].add(sale["amount"])
        all["who"].add(sale["who"])
        all["half"].add(sale["amount"])
        all["top"].add(sale["who"])

    def visit(both):
        both[0].add()
        both[1].add(sale["who"])

    added = minutes.on_event("minutes", event.time_ns, take)
    visited = visits.on_event("visits", event.time_ns, visit)
    kept = hour.on_event("hour", event.time_ns, lambda total: total.add(sale["amount"]))
    joined = pairs.on_event("pairs", event.time_ns, sale["side"], sale["who"])
    return Output.json(
        "out",
        {
            "late": [added.late, visited.late, joined.late],
            "minutes": told(added.closed),
            "visits": told(visited.closed),
            "hour": hour.over(kept, event.time_ns).get(),
            "pairs": joined.pairs,
            "alone": joined.unmatched,
            "rises": risen(rise.advance(sale)),
        },
    )


def on_timer(timer):
    if timer.name == "rise":
        return Output.json("out", risen(rise.on_timer(timer)))
    if timer.name == "pairs":
        return Output.json("out", pairs.on_timer("pairs"))
    return Output.json("out", told((minutes if timer.name == "minutes" else visits).on_timer(timer.name)))


def told(closed):
    return [[one.window.in_ms(), aggregate.dump(one.value), [other.in_ms() for other in one.replaces]] for one in closed]


def risen(step):
    return [[[taken.name, taken.event] for taken in match.events] for match in [*step.matches, *step.timeouts]]
