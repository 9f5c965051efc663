"""Patterns: the vectors that every language's SDK runs, and their use in a plugin."""

import json
import operator
import unittest
from datetime import timedelta
from pathlib import Path

from wasmill import Output, Reject, Retry, pattern
from wasmill.testing import Keyed

VECTORS = json.loads(Path(__file__).parents[2].joinpath("tests/vectors/patterns.json").read_text(encoding="utf-8"))
NUMBERS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
TEXTS = {"=": operator.eq, "!=": operator.ne, "has": operator.contains}


def resolve(what, name, seen):
    if name == "*":
        return seen.latest and seen.latest.get("value")
    values = [event.get("value") for event in seen.all(name)]
    if what in ("sum", "count"):
        return sum(value for value in values if value is not None) if what == "sum" else len(values)
    return (values[0] if what == "first" else values[-1]) if values else None


def holds(clause, event, seen):
    field, sign, operand = clause
    if isinstance(operand, str):
        return TEXTS[sign](event["name"], operand)
    if isinstance(operand, dict):
        found = resolve(*operand["of"], seen)
        operand = None if found is None else found * operand.get("factor", 1) + operand.get("plus", 0)
    value = event.get("value")
    return value is not None and operand is not None and NUMBERS[sign](value, operand)


def condition(stage):
    clauses = stage.get("where")
    if clauses is None:
        return lambda event: event["name"] == stage["name"]
    return lambda event, seen: all(holds(clause, event, seen) for clause in clauses)


def built(spec):
    made = None
    for stage in spec["stages"]:
        link = stage.get("link", "begin").replace("-", "_")
        if made is None:
            made = pattern.begin(stage["name"], condition(stage))
        elif link.startswith("not"):
            getattr(made, link)(condition(stage))
        else:
            getattr(made, link)(stage["name"], condition(stage))
        for other in stage.get("or", ()):
            made.or_(other["name"], condition(other))
        if "times" in stage:
            made.between(*stage["times"])
        if stage.get("inner") in ("next", "followed-by-any"):
            made.consecutive() if stage["inner"] == "next" else made.combinations()
        for word in ("optional", "greedy"):
            if stage.get(word):
                getattr(made, word)()
    if "within" in spec:
        made.within(spec["within"] / 1e6)
    if "limit" in spec:
        made.limit(spec["limit"])
    if spec.get("evict"):
        made.evict_oldest()
    skip = spec.get("skip", "none")
    return made.skip(next(iter(skip.items())) if isinstance(skip, dict) else (skip, ""))


def item(row):
    event = {"id": row[1], "name": row[1].rstrip("0123456789")}
    return {**event, "value": row[2]} if len(row) > 2 else event


def told(found):
    return " ".join([str(found.at_ns), *[f"{taken.name}:{taken.event['id']}" for taken in found.events]])


class Vectors(unittest.TestCase):
    maxDiff = None

    def test_every_case(self):
        for group in VECTORS["groups"]:
            for case in group["cases"]:
                with self.subTest(f"{group['name']}: {case['name']}"):
                    self.run_case(case)

    def run_case(self, case):
        made, state = built(case["pattern"]), pattern.State()
        self.assertEqual(made.shape(), case["shape"])
        for index, row in enumerate(case["input"]):
            before = state.dump()
            outcome = {}
            try:
                step = made.on_time(state, row[0]) if len(row) == 1 else made.advance(state, item(row), row[0])
                for name, found in zip(("match", "timeout", "evicted"), step, strict=True):
                    if found:
                        outcome[name] = [told(one) for one in found]
            except (pattern.PatternError, pattern.PatternFull) as err:
                # The event is sound unless there is no room for it.
                self.assertIsInstance(err, Reject if err.kind == "full" else Retry)
                outcome["error"] = err.kind
                self.assertEqual(state.dump(), before)
            self.assertEqual(outcome, case["expect"].get(str(index), {}), f"row {index}")
            stored = json.loads(json.dumps(state.dump()))
            if str(index) in case.get("state", {}):
                self.assertEqual(stored, case["state"][str(index)])
            if str(index) in case.get("due", {}):
                self.assertEqual(made.due(state), case["due"][str(index)])
            state = pattern.State.load(stored)

    def test_what_means_nothing_is_refused(self):
        for invalid in VECTORS["invalid"]:
            with self.subTest(invalid["name"]), self.assertRaises(pattern.PatternError) as caught:
                built(invalid["pattern"]).check()
            self.assertEqual(caught.exception.kind, "invalid")


def is_a(name):
    return lambda event: event["kind"] == name


class InAPlugin(unittest.TestCase):
    def test_what_does_not_come_is_told_by_a_timer(self):
        made = pattern.begin("filled", is_a("filled")).not_followed_by(is_a("bought")).within(timedelta(minutes=10)).kept("cart")

        def on_timer(timer):
            return [Output("abandoned", timer.key) for _ in made.on_timer(timer).matches]

        engine = Keyed(lambda event: made.advance(event.json()) and None, on_timer=on_timer)
        for kind, key in (("filled", "anna"), ("filled", "ben"), ("bought", "ben")):
            engine.send({"kind": kind}, key=key)
        self.assertEqual((engine.state("ben"), engine.timers("ben")), ({}, []))
        self.assertEqual([output.data for output in engine.advance(timedelta(minutes=10))], [b"anna"])
        self.assertEqual((engine.state("anna"), engine.timers("anna")), ({}, []))

    def test_with_a_longer_within_the_timer_is_set_anew(self):
        minutes = [10]

        def cart():
            filled = pattern.begin("filled", is_a("filled")).not_followed_by(is_a("bought"))
            return filled.within(timedelta(minutes=minutes[0])).kept("cart")

        def on_timer(timer):
            return [Output("abandoned", timer.key) for _ in cart().on_timer(timer).matches]

        engine = Keyed(lambda event: cart().advance(event.json()) and None, on_timer=on_timer)
        engine.send({"kind": "filled"}, key="anna")
        minutes[0] = 20
        self.assertEqual(engine.advance(timedelta(minutes=10)), [])
        self.assertEqual([output.data for output in engine.advance(timedelta(minutes=10))], [b"anna"])
        self.assertEqual(engine.timers("anna"), [])

    def test_a_match_gives_its_events_by_name(self):
        made = (
            pattern.begin("low", lambda event: event["n"] < 5)
            .one_or_more()
            .greedy()
            .next("high", lambda event, seen: event["n"] > 2 * seen.last("low")["n"])
        )
        state = pattern.State()
        for n in (1, 2):
            self.assertEqual(made.advance(state, {"n": n}, n).matches, [])
        matches = made.advance(state, {"n": 9}, 9).matches
        self.assertEqual([match.all("low") for match in matches], [[{"n": 1}, {"n": 2}], [{"n": 2}]])
        match = matches[0]
        self.assertEqual((match.first("low"), match.last("high"), match.span_ns), ({"n": 1}, {"n": 9}, 8))
        self.assertIsNone(match.first("none"))

    def test_a_state_of_another_pattern_is_refused(self):
        state = pattern.State()
        pattern.begin("a", is_a("a")).followed_by("b", is_a("b")).advance(state, {"kind": "a"}, 1)
        other = pattern.begin("a", is_a("a")).next("b", is_a("b"))
        with self.assertRaisesRegex(pattern.PatternError, "the stored state is of `a ~b`, the pattern is `a >b`") as caught:
            other.on_time(state, 1)
        self.assertEqual(caught.exception.kind, "changed")
        self.assertIsInstance(caught.exception, Retry)
        for stored in (None, {}, {"p": "a ~b", "n": 1, "t": "x", "e": [], "r": []}):
            with self.assertRaises(pattern.PatternError) as caught:
                pattern.State.load(stored)
            self.assertEqual(caught.exception.kind, "corrupt")
        state = pattern.State.load({"p": "a >b", "n": 1, "t": "1", "e": [], "r": [[1, False, [[0, 0]]]]})
        with self.assertRaises(pattern.PatternError) as caught:
            other.on_time(state, 1)
        self.assertEqual(caught.exception.kind, "corrupt")


if __name__ == "__main__":
    unittest.main()
