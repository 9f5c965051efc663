"""State, timers, lookup tables and migration natively."""

import json
import unittest
from datetime import timedelta

from wasmill import Output, Refused, Reject, Retry, clock, lookup, state, timers
from wasmill._answer import migrated
from wasmill._host import host
from wasmill.testing import DEFAULT_NOW_NS, Keyed, Test

MINUTE = 60_000_000_000


def keyed(function, **settings):
    """An engine whose handler calls a function, whatever the event."""
    return Keyed(lambda event: function(event), **settings)


class State(unittest.TestCase):
    def test_fields_are_bytes_or_text(self):
        def swap(event):
            before = state.get("raw")
            state.set("raw", event.data)
            return Output("out", before or b"none")

        engine = keyed(swap)
        self.assertEqual(engine.send(b"\xff\0", key="a")[0].data, b"none")
        self.assertEqual(engine.send(b"x", key="a")[0].data, b"\xff\0")
        self.assertEqual(engine.send(b"x", key="b")[0].data, b"none")
        self.assertEqual(engine.state("a"), {"raw": b"x"})
        state.set("text", "ü")
        self.assertEqual((state.names(), state.names("te")), (["raw", "text"], ["text"]))
        state.delete("raw")
        state.delete("raw")
        self.assertIsNone(state.get("raw"))
        for name, error in ((5, TypeError), ("\ud800", ValueError)):
            with self.assertRaises(error):
                state.get(name)
        with self.assertRaisesRegex(TypeError, "state.Value"):
            state.set("n", 5)

    def test_what_is_stored_is_the_same_in_all_languages(self):
        def change(event):
            state.Value("value").set({"a": [1, "ü", None]})
            state.Counter("count").add(2)
            for value in ("a", "b", "c"):
                state.List("list", 2).append(value)
            state.Map("map")["k/1"] = "v"
            state.Set("set").add("x")

        engine = keyed(change)
        engine.send(key="k")
        self.assertEqual(
            engine.state("k"),
            {
                "count": b"2",
                "list": b'["b","c"]',
                "map/k/1": b'"v"',
                "set/x": b"true",
                "value": '{"a":[1,"ü",null]}'.encode(),
            },
        )

    def test_a_value_has_a_default_of_its_own_each_time(self):
        engine = keyed(lambda event: None)
        engine.send(key="k")
        seen = state.Value("seen", default=[])
        seen.get().append(1)
        self.assertEqual(seen.get(), [])
        self.assertEqual(seen.update(lambda value: [*value, 1]), [1])
        self.assertEqual(seen.get(), [1])
        seen.delete()
        self.assertEqual(seen.get(), [])
        self.assertIsNone(state.Value("none").get())
        with self.assertRaises(TypeError):
            seen.set({1, 2})

    def test_a_counter_counts_whole_numbers_of_64_bits(self):
        keyed(lambda event: None).send(key="k")
        count = state.Counter("n")
        self.assertEqual((count.get(), count.add(), count.add(-3), count.get()), (0, 1, -2, -2))
        count.set(2**63 - 2)
        self.assertEqual((count.add(5), state.get("n")), (2**63 - 1, b"9223372036854775807"))
        with self.assertRaises(TypeError):
            count.add(1.5)
        count.delete()
        self.assertEqual(count.get(), 0)

    def test_a_list_keeps_the_last(self):
        keyed(lambda event: None).send(key="k")
        last = state.List("last", 3)
        self.assertEqual([last.append(n) for n in range(5)], [1, 2, 3, 3, 3])
        self.assertEqual((last.get(), list(last), len(last)), ([2, 3, 4], [2, 3, 4], 3))
        last.set(range(10))
        self.assertEqual(last.get(), [7, 8, 9])
        with self.assertRaises(ValueError):
            state.List("none", 0)

    def test_a_map_is_a_dict_and_a_set_a_set(self):
        keyed(lambda event: None).send(key="k")
        table, members = state.Map("m"), state.Set("s")
        table["b"] = 2
        table["a"] = [1]
        self.assertEqual((list(table.items()), len(table), "a" in table, "c" in table, table.get("c")), ([("a", [1]), ("b", 2)], 2, True, False, None))
        self.assertEqual((table.pop("a"), table.setdefault("c", 7), dict(table)), ([1], 7, {"b": 2, "c": 7}))
        with self.assertRaises(KeyError):
            table["a"]
        with self.assertRaises(KeyError):
            del table["a"]
        self.assertEqual((members.add("x"), members.add("x"), members.add("w"), list(members)), (True, False, True, ["w", "x"]))
        self.assertEqual((members.discard("x"), members.discard("x"), "w" in members, len(members)), (True, False, True, 1))
        table.clear()
        members.clear()
        self.assertEqual((len(table), state.names()), (0, []))

    def test_a_field_that_holds_something_else_is_a_retry_that_names_it(self):
        keyed(lambda event: None).send(key="k")
        state.set("n", "x")
        state.set("m/x", '"y"')
        cases = [
            (state.Value("n").get, "state field `n` is not JSON"),
            (state.Counter("m/x").get, "state field `m/x` holds str, not a whole number"),
            (state.List("m/x", 1).get, "state field `m/x` holds str, not a list"),
        ]
        for function, reason in cases:
            with self.subTest(reason), self.assertRaisesRegex(Retry, reason):
                function()

    def test_a_failed_call_changes_nothing(self):
        def fail(event):
            state.Counter("n").add()
            timers.after("t", 1)
            if event.text() == "fail":
                raise Reject("no")

        engine = keyed(fail)
        engine.send(b"ok", key="k")
        before = (engine.state("k"), engine.timers("k"))
        with self.assertRaises(Reject):
            engine.send(b"fail", key="k")
        self.assertEqual((engine.state("k"), engine.timers("k")), before)
        self.assertEqual(state.Counter("n").get(), 1)

    def test_a_refusal_has_a_kind_and_a_limit(self):
        def ask(function, *arguments):
            try:
                function(*arguments)
            except Refused as err:
                return (err.kind, err.limit, err.may_pass)

        keyed(lambda event: None, record_kib=1, timers=1, tables={"loading": None}).send(key="k")
        state.set("n", b"x" * 1_023)
        self.assertEqual(ask(state.set, "n", b"x" * 1_024), ("too-large", 1_024, False))
        self.assertEqual(len(state.get("n")), 1_023)
        timers.after("t", 1)
        timers.after("t", 2)
        self.assertEqual(ask(timers.after, "u", 1), ("too-many", 1, False))
        for function in (state.get, state.delete, timers.cancel):
            self.assertEqual(ask(function, ""), ("bad-name", None, False))
            self.assertEqual(ask(function, "ü" * 129), ("bad-name", None, False))
        self.assertEqual(ask(lookup.get, "loading", "x"), ("not-ready", None, True))
        self.assertEqual(ask(lookup.get, "other", "x"), ("not-granted", None, True))
        Test()
        for function in (state.get, state.names, timers.cancel):
            self.assertEqual(ask(function, "x"), ("no-key", None, True))
        self.assertIn("set `key` in the plugin's manifest", str(Refused("no-key")))

    def test_an_event_without_a_key_is_no_event_of_such_a_plugin(self):
        for key in (None, "", "x" * 257):
            with self.assertRaisesRegex(ValueError, "1 to 256 bytes"):
                keyed(lambda event: None).send(key=key)


class Timers(unittest.TestCase):
    def test_they_fire_in_order_at_their_time(self):
        def start(event):
            for name, wait in (("c", 3), ("a", 1), ("b", 1), ("gone", 2)):
                timers.after(name, timedelta(minutes=wait), f"{wait}")
            timers.cancel("gone")
            timers.cancel("never")

        def on_timer(timer):
            state.Counter("fired").add()
            return Output("out", f"{timer.key} {timer.name} {timer.text()} {(clock.now() - DEFAULT_NOW_NS) // MINUTE}")

        engine = keyed(start, on_timer=on_timer)
        engine.send(key="k")
        engine.send(key="j")
        self.assertEqual([timer.name for timer in engine.timers("k")], ["a", "b", "c"])
        fired = [output.data.decode() for output in engine.advance(timedelta(minutes=2))]
        self.assertEqual(fired, ["j a 1 1", "j b 1 1", "k a 1 1", "k b 1 1"])
        self.assertEqual(engine.now_ns, DEFAULT_NOW_NS + 2 * MINUTE)
        fired = engine.send(key="k", time_ns=DEFAULT_NOW_NS + 4 * MINUTE)
        self.assertEqual([output.data for output in fired], [b"j c 3 3", b"k c 3 3"])
        self.assertEqual(engine.get("k", "fired"), 3)

    def test_one_that_is_set_again_fires_once_at_its_last_time(self):
        engine = keyed(lambda event: timers.after("quiet", 1_000, event.data), on_timer=lambda timer: Output("out", timer.data))
        engine.send(b"1", key="k")
        engine.advance(600)
        engine.send(b"2", key="k")
        self.assertEqual(engine.advance(900), [])
        self.assertEqual([output.data for output in engine.advance(100)], [b"2"])
        self.assertEqual(engine.advance(10_000), [])

    def test_one_may_set_itself_again(self):
        def tick(_):
            timers.after("tick", 1_000)
            return Output("out")

        engine = keyed(tick, on_timer=tick)
        engine.send(key="k")
        self.assertEqual(len(engine.advance(10_500)), 10)

    def test_one_that_fails_has_changed_nothing(self):
        def on_timer(timer):
            state.set("changed", "x")
            raise (Retry if timer.name == "retry" else Reject)("no")

        engine = keyed(lambda event: timers.after(event.text(), 1), on_timer=on_timer)
        engine.send(b"retry", key="k")
        with self.assertRaises(Retry):
            engine.advance(1)
        self.assertEqual((engine.state("k"), [timer.name for timer in engine.timers("k")]), ({}, ["retry"]))
        engine.set("k", "x", {"a": 1})
        engine = keyed(lambda event: timers.after(event.text(), 1), on_timer=on_timer)
        engine.send(b"reject", key="k")
        with self.assertRaises(Reject):
            engine.advance(1)
        self.assertEqual((engine.state("k"), engine.timers("k")), ({}, []))

    def test_times_are_within_what_a_clock_can_tell(self):
        keyed(lambda event: None).send(key="k")
        timers.after("late", 1 << 80)
        timers.set("past", 0)
        timers.after("half", 0.5)
        for call in (lambda: timers.set("t", -1), lambda: timers.set("t", 1 << 64), lambda: timers.after("t", -1)):
            with self.assertRaises(ValueError):
                call()

    def test_without_a_function_for_them_the_error_says_what_to_write(self):
        engine = keyed(lambda event: timers.after("t", 1))
        engine.send(key="k")
        with self.assertRaisesRegex(LookupError, "no function on_timer"):
            engine.advance(1)
        self.addCleanup(setattr, host, "has_on_timer", True)
        host.has_on_timer = False
        with self.assertRaisesRegex(RuntimeError, "def on_timer"):
            timers.after("t", 1)

    def test_its_data_is_json_or_a_reject(self):
        def on_timer(timer):
            return Output("out", str(timer.json()["n"]))

        engine = keyed(lambda event: timers.after("t", 1, event.data), on_timer=on_timer)
        engine.send({"n": 5}, key="k")
        self.assertEqual(engine.advance(1)[0].data, b"5")
        engine.send(b"x", key="k")
        with self.assertRaisesRegex(Reject, "the data of timer `t` is not JSON"):
            engine.advance(1)


class Lookups(unittest.TestCase):
    def test_rows_are_bytes_or_json(self):
        Test(tables={"tiers": {"c-1": {"tier": "gold"}, "c-2": b"\xff", "c-3": "plain"}})
        self.assertEqual(lookup.json("tiers", "c-1"), {"tier": "gold"})
        self.assertEqual((lookup.get("tiers", "c-2"), lookup.get("tiers", "c-3")), (b"\xff", b"plain"))
        self.assertEqual((lookup.get("tiers", "c-4"), lookup.json("tiers", "c-4", default=1)), (None, 1))
        self.assertTrue(lookup.contains("tiers", "c-1"))
        with self.assertRaisesRegex(Retry, "row `c-2` of lookup table `tiers` is not UTF-8"):
            lookup.json("tiers", "c-2")


class Migration(unittest.TestCase):
    def test_fields_of_an_older_version_are_brought_up_to_date_once(self):
        def migrate(version, name, value):
            if name == "scratch":
                return state.DROP
            if name == "total":
                return json.dumps(round(json.loads(value) * 100))
            return value

        engine = keyed(lambda event: None, migrate=migrate)
        for name, value in {"total": 1.5, "scratch": 1, "same": b"\xff"}.items():
            engine.set("k", name, value)
        engine.upgraded_from("1.0.0")
        engine.send(key="k")
        engine.send(key="k")
        self.assertEqual(engine.state("k"), {"same": b"\xff", "total": b"150"})

    def test_an_error_leaves_the_old_state(self):
        def migrate(version, name, value):
            raise ValueError(f"bad of {version}")

        engine = keyed(lambda event: None, migrate=migrate)
        engine.set("k", "n", "1")
        engine.upgraded_from("1.0.0")
        for _ in range(2):
            with self.assertRaisesRegex(ValueError, "bad of 1.0.0"):
                engine.send(key="k")
        self.assertEqual(engine.state("k"), {"n": b"1"})

    def test_a_forgotten_return_deletes_nothing(self):
        with self.assertRaisesRegex(TypeError, "state.DROP"):
            migrated(lambda version, name, value: None, "1", "n", b"")
        with self.assertRaisesRegex(TypeError, "json.dumps"):
            migrated(lambda version, name, value: 5, "1", "n", b"")


if __name__ == "__main__":
    unittest.main()
