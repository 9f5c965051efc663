"""Windows, aggregates and joins: the vectors that every language's SDK runs, and their use in a plugin."""

import json
import unittest
from pathlib import Path

from wasmill import Output, Reject, Retry, aggregate, join, window
from wasmill.testing import DEFAULT_NOW_NS, Keyed

VECTORS = json.loads(Path(__file__).parents[2].joinpath("tests/vectors/windows.json").read_text(encoding="utf-8"))
MS = 1_000_000
FRACTIONS = [0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 1.0]

KINDS = {
    "count": lambda _: aggregate.Count(),
    "sum": lambda _: aggregate.Sum(),
    "mean": lambda _: aggregate.Mean(),
    "min": lambda _: aggregate.Min(),
    "max": lambda _: aggregate.Max(),
    "distinct": lambda _: aggregate.Distinct(),
    "quantile": lambda _: aggregate.Quantile(),
    "top": lambda spec: aggregate.Top(spec["capacity"]),
    "largest": lambda spec: aggregate.Largest(spec["n"]),
    "rows": lambda spec: aggregate.Rows(spec["n"]),
}

ANSWERS = {
    "distinct": lambda one: {"count": one.get(), "exact": one.is_exact},
    "quantile": lambda one: [[q, one.get(q)] for q in FRACTIONS],
    "top": lambda one: {"first": again(one.get(2)), "exact": one.is_exact},
    "largest": lambda one: {"winners": again(one.winners())},
    "rows": lambda one: {"rows": one.get(), "over": one.over},
}


def made(spec):
    return KINDS[spec["kind"]](spec)


def again(value):
    """As JSON gives it back."""
    return json.loads(json.dumps(value))


def add(one, value):
    one.add(*value) if isinstance(one, (aggregate.Top, aggregate.Largest)) else one.add(value)


def values(rules, of_strings):
    for rule in rules:
        if isinstance(rule, dict) and "range" in rule:
            yield from (str(i) if of_strings else float(i) for i in range(*rule["range"]))
        elif isinstance(rule, dict) and "powers" in rule:
            base, start, end = rule["powers"]
            power = 1.0
            for exponent in range(end):
                if exponent >= start:
                    yield -power if base < 0 else power
                power *= abs(base)
        else:
            yield rule


def filled(spec, rules):
    one = made(spec)
    for value in values(rules, spec["kind"] == "distinct"):
        add(one, value)
    return one


def ns(ms):
    return round(ms * 1e6)


def in_ms(due):
    return None if due is None else due // MS


def told(closed):
    bounds = [closed.window, *closed.replaces]
    first, *rest = [[start // MS, end // MS] for start, end in bounds]
    return {"window": first, "value": again(aggregate.dump(closed.value)), "replaces": rest}


class Vectors(unittest.TestCase):
    maxDiff = None

    def test_all_parts_are_run(self):
        self.assertEqual(set(VECTORS), {"aggregates", "windows", "refused", "changed", "rolling", "joins"})

    def test_aggregates(self):
        for case in VECTORS["aggregates"]:
            with self.subTest(case["name"]):
                kind = case["aggregate"]["kind"]
                one = filled(case["aggregate"], case["add"])
                if "merge" in case:
                    one.merge(filled(case["aggregate"], case["merge"]))
                self.assertEqual(again(one.dump()), case["state"])
                one = made(case["aggregate"]).load(case["state"])
                self.assertEqual(ANSWERS.get(kind, lambda one: one.get())(one), case["answers"])

    def test_windows(self):
        for case in VECTORS["windows"]:
            windows, open = window.spec(case["window"]).of(made(case["aggregate"])), window.Open()
            for step in case["steps"]:
                with self.subTest(case["name"], step=step):
                    if "now_ms" in step:
                        closed = windows.advance(open, ns(step["now_ms"]))
                    else:
                        closed, late = windows.add(open, ns(step["at_ms"]), lambda one: add(one, step["add"]))
                        self.assertEqual(late, step["late"])
                    self.assertEqual([told(one) for one in closed], step["closed"])
                    self.assertEqual(in_ms(windows.due(open)), step["due_ms"])
                    self.assertEqual(again(open.dump()), step["state"])
                    open = windows.load(step["state"])

    def test_refused(self):
        for case in VECTORS["refused"]:
            with self.subTest(case["window"]):
                because = None
                try:
                    window.spec(case["window"]).of(aggregate.Count())
                except window.WindowError as err:
                    because = err.kind
                self.assertEqual(because, case["because"])

    def test_changed(self):
        for case in VECTORS["changed"]:
            with self.subTest(case["name"]):
                because = None
                try:
                    window.spec(case["window"]).of(aggregate.Count()).load(case["state"])
                except window.WindowError as err:
                    because = err.kind
                self.assertEqual(because, case["because"])

    def test_rolling(self):
        for case in VECTORS["rolling"]:
            rolling, kept = window.Rolling(case["span_ms"], case["bucket_ms"], made(case["aggregate"])), window.Buckets()
            for step in case["steps"]:
                with self.subTest(case["name"], step=step):
                    if "over" in step:
                        now, span = step["over"]
                        self.assertEqual(again(rolling.over(kept, ns(now), span).dump()), step["value"])
                    else:
                        counted = rolling.add(kept, ns(step["at_ms"]), lambda one: add(one, step["add"]))
                        self.assertEqual((not counted, again(kept.dump())), (step["late"], step["state"]))
                        kept = rolling.load(step["state"])

    def test_joins(self):
        for case in VECTORS["joins"]:
            joining, held = join.Join(**{"before_ms": 0, "after_ms": 0, **case["join"]}), join.Held()
            for step in case["steps"]:
                with self.subTest(case["name"], step=step):
                    if "now_ms" in step:
                        unmatched = joining.advance(held, ns(step["now_ms"]))
                    else:
                        side = "left" if "left" in step else "right"
                        pairs, unmatched, late = getattr(joining, side)(held, ns(step["at_ms"]), step[side])
                        self.assertEqual((late, again(pairs)), (step["late"], step["pairs"]))
                    self.assertEqual([{side: value} for side, value in unmatched], step["unmatched"])
                    self.assertEqual(in_ms(joining.due(held)), step["due_ms"])
                    self.assertEqual(again(held.dump()), step["state"])
                    held = joining.load(step["state"])


class InAPlugin(unittest.TestCase):
    def test_windows_close_by_events_and_by_a_timer(self):
        minutes = window.tumbling(60_000, disorder_ms=5_000).of({"n": aggregate.Count(), "sum": aggregate.Sum()})

        def tell(closed):
            return [Output.json("out", [one.window.in_ms(), one.value["n"].get(), one.value["sum"].get()]) for one in closed]

        def handle(event):
            def take(takings):
                takings["n"].add()
                takings["sum"].add(event.field("amount", float))

            added = minutes.on_event("takings", event.time_ns, take)
            return [*tell(added.closed), *([Output("late")] if added.late else [])]

        engine = Keyed(handle, on_timer=lambda timer: tell(minutes.on_timer("takings")))
        for seconds in (1, 2, 66):
            outputs = engine.send({"amount": 2.5}, key="shop", time_ns=DEFAULT_NOW_NS + seconds * 1_000 * MS)
        start = DEFAULT_NOW_NS // MS
        first = [{"start_ms": start, "end_ms": start + 60_000}, 2, 5.0]
        self.assertEqual([json.loads(output.data) for output in outputs], [first])
        self.assertEqual(engine.send({"amount": 1}, key="shop", time_ns=DEFAULT_NOW_NS)[0].subject, "late")
        self.assertEqual(engine.advance(58_999), [])
        self.assertEqual(json.loads(engine.advance(1)[0].data)[1:], [1, 2.5])
        self.assertEqual(engine.timers("shop"), [])
        engine.set("shop", "takings", {"p": [[1, 2]]})
        with self.assertRaisesRegex(Retry, "state field `takings`: not what windows are stored as"):
            engine.send({"amount": 1}, key="shop")

    def test_windows_of_another_definition_wait(self):
        size = [60_000]

        def handle(event):
            count = window.tumbling(size[0]).of(aggregate.Count())
            return [Output("out", str(one.value.get())) for one in count.on_event("n", event.time_ns, lambda n: n.add()).closed]

        def on_timer(timer):
            return [Output("out", str(one.value.get())) for one in window.tumbling(size[0]).of(aggregate.Count()).on_timer("n")]

        engine = Keyed(handle, on_timer=on_timer)
        engine.send(key="c")
        size[0] = 90_000
        before = engine.state("c")
        with self.assertRaisesRegex(Retry, "stored windows are of `60000/60000[+]0`, the definition is `90000/90000[+]0`"):
            engine.send(key="c")
        with self.assertRaises(window.WindowError):
            engine.advance(60_000)
        self.assertEqual(engine.state("c"), before)
        size[0] = 60_000
        self.assertEqual([output.data for output in engine.advance(0)], [b"1"])
        size[0] = 90_000
        self.assertEqual(engine.send(key="c"), [])

    def test_joins_tell_what_met_nothing_by_a_timer(self):
        payments = join.Join(before_ms=0, after_ms=60_000)

        def handle(event):
            joined = payments.on_event("open", event.time_ns, event.field("side", str), event.field("id", str))
            return [Output("paid", f"{left} {right}") for left, right in joined.pairs]

        def on_timer(timer):
            return [Output("missed", f"{side} {value}") for side, value in payments.on_timer("open")]

        engine = Keyed(handle, on_timer=on_timer)
        engine.send({"side": "left", "id": "o1"}, key="c")
        self.assertEqual([o.data for o in engine.send({"side": "right", "id": "p1"}, key="c")], [b"o1 p1"])
        engine.send({"side": "left", "id": "o2"}, key="c", time_ns=engine.now_ns + MS)
        self.assertEqual([o.data for o in engine.advance(60_001)], [b"left o2"])
        self.assertEqual(engine.timers("c"), [])
        with self.assertRaises(ValueError):
            payments.on_event("open", 0, "middle", 1)

    def test_rolling_counts_the_last_so_much_time(self):
        hour = window.Rolling(3_600_000, 60_000, aggregate.Count())

        def handle(event):
            kept = hour.on_event("hour", event.time_ns, lambda count: count.add())
            self.assertEqual(kept.latest_ns, event.time_ns)
            return Output("out", str(hour.over(kept, event.time_ns).get()))

        engine = Keyed(handle)
        times = [0, 30, 59, 61, 200]
        counts = [engine.send(key="c", time_ns=DEFAULT_NOW_NS + minute * 60_000 * MS)[0].data for minute in times]
        self.assertEqual(counts, [b"1", b"2", b"3", b"3", b"1"])

    def test_what_is_stored_by_something_else_is_refused(self):
        cases = {
            "count": [-1, 1.5, "1", True],
            "sum": [1, [1], ["a", 0]],
            "mean": [1, [1], [1, 1]],
            "min": ["a", [1]],
            "distinct": [3, {"h": "AAAA"}, {"r": "AAAA"}, {"h": "AAAAAAAAAA!"}, {}],
            "quantile": [1, {"m": [0, 1], "b": [1]}, {"m": [0, 1], "b": [1, -1]}, {"m": [0, 1], "b": [9_999_999, 1]}],
            "top": [1, {"c": 1}, {"c": 1, "f": 0, "e": [["a"]]}],
            "largest": [1, {"n": 1, "e": [["a"]]}],
            "rows": [1, {"n": 1}],
        }
        for kind, wrong in cases.items():
            for stored in wrong:
                with self.subTest(kind, stored=stored), self.assertRaises(ValueError):
                    made({"kind": kind, "capacity": 1, "n": 1}).load(stored)
        with self.assertRaises(ValueError):
            aggregate.load({"n": aggregate.Count()}, {})
        with self.assertRaises(ValueError):
            aggregate.load((aggregate.Count(), aggregate.Count()), [1])

    def test_what_cannot_be_counted_is_rejected(self):
        count, top = aggregate.Count(), aggregate.Top(5)
        for weight in (-1, 1.5, float("nan"), float("inf"), "1", None, True, 1 << 64):
            with self.subTest(weight):
                with self.assertRaisesRegex(Reject, "a whole number from 0 to 2.64 - 1, not"):
                    count.add(weight)
                with self.assertRaisesRegex(Reject, "a weight is a whole number"):
                    top.add("a", weight)
        count.add(0)
        count.add(3.0)
        top.add("a", 2.0)
        self.assertEqual((again(count.dump()), again(top.dump()["e"])), (3, [["a", 2, 0]]))
        self.assertEqual(aggregate.Count().load(again(count.dump())).get(), 3)
        most = (1 << 64) - 1
        top.add("a", most)
        top.merge(top.load(top.dump()))
        self.assertEqual(top.dump()["e"], [["a", most, 0]])

    def test_a_window_of_the_config_that_makes_no_sense_is_a_retry(self):
        for table in ({}, {"kind": "global"}, {"kind": "tumbling"}, {"kind": "session", "gap_ms": 1, "late_ms": 1}):
            with self.subTest(table), self.assertRaisesRegex(Retry, "^config: a window's"):
                window.spec(table)
        self.assertEqual(window.spec({"kind": "sliding", "size_ms": 2, "slide_ms": 1}), window.sliding(2, 1))


if __name__ == "__main__":
    unittest.main()
