"""The SDK natively: `python3 -m unittest discover -s tests`, in `plugin-sdk/python` with `PYTHONPATH=.`."""

import json
import re
import sys
import unittest
from pathlib import Path
from types import ModuleType

from wasmill import Output, Reject, Retry, _trace, clock, config, log, random
from wasmill._codec import DEEPEST
from wasmill._host import Host, host
from wasmill.testing import Line, Test, event


def raised(function):
    """What a function raises, with its traceback, which `assertRaises` drops."""
    try:
        function()
    except Exception as err:
        return err
    raise AssertionError("it raised nothing")


class Events(unittest.TestCase):
    def test_headers_compare_without_case(self):
        got = event(headers=[("Trace", "1"), ("other", "2"), ("TRACE", "3")])
        self.assertEqual(got.header("trace"), "1")
        self.assertEqual(got.header_values("tRACE"), ["1", "3"])
        self.assertIsNone(got.header("none"))

    def test_bad_json_is_rejected_with_the_place(self):
        cases = {
            b"": "Expecting value at line 1 column 1",
            b'{"a":\n 1,}': "line 2 column",
            b"\xff": "the payload is not UTF-8: byte 0 of 1: invalid start byte",
            b'{"a": NaN}': "NaN is not JSON",
            b"1 2": "Extra data at line 1 column 3",
            b'"\xed\xa0\x80"': "not UTF-8",
            b"[" * 100_000: f"nested more than {DEEPEST} levels",
            b'["]",' * 100_000: f"nested more than {DEEPEST} levels",
            b'["\\\\\\"]",' * 100_000: f"nested more than {DEEPEST} levels",
            b"[" * 1_000 + b"]" * 1_000: f"nested more than {DEEPEST} levels",
        }
        for data, reason in cases.items():
            with self.subTest(data[:20]), self.assertRaises(Reject) as caught:
                event(data).json()
            self.assertIn(reason, caught.exception.reason)

    def test_json_of_every_shape_is_read(self):
        wide = b"[" + b",".join([b'{"a":"[[\\"{"}'] * 1_000) + b"]"
        self.assertEqual(len(event(wide).json()), 1_000)
        nested = b"[" * DEEPEST + b"]" * DEEPEST
        self.assertEqual(len(event(nested).json()), 1)
        self.assertEqual(event(b" \n 1.5 ").json(), 1.5)
        once = event({"a": 1})
        self.assertIs(once.json(), once.json())

    def test_fields_are_read_by_path_and_kind(self):
        got = event({"card": {"country": "BE", "limit": 3}, "ok": True, "none": None})
        self.assertEqual(got.field("card.country", str), "BE")
        self.assertEqual(got.field("card.limit", float), 3)
        self.assertEqual(got.field("card.city", str, default="?"), "?")
        self.assertIs(got.field("ok", bool), True)
        self.assertIsNone(got.field("none", (str, type(None))))
        self.assertIsNone(got.field("none"))
        cases = {
            ("amount", float): "missing field `amount`",
            ("card.country", float): "field `card.country`: expected a number, found a string",
            ("card.limit", str): "field `card.limit`: expected a string, found a whole number",
            ("ok", int): "field `ok`: expected a whole number, found true or false",
            ("card.country.code", str): "expected an object that holds `code`, found a string",
        }
        for (path, kind), reason in cases.items():
            with self.subTest(path), self.assertRaises(Reject) as caught:
                got.field(path, kind)
            self.assertIn(reason, caught.exception.reason)


class Outputs(unittest.TestCase):
    def test_payloads_are_bytes_text_or_json(self):
        self.assertEqual(Output("a", b"\xff").data, b"\xff")
        self.assertEqual(Output("a", bytearray(b"x")).data, b"x")
        self.assertEqual(Output("a", "ü").data, "ü".encode())
        output = Output.json("a", {"b": [1, "ü"]}, type="t", headers={"x": "y"})
        self.assertEqual(output.data, '{"b":[1,"ü"]}'.encode())
        self.assertEqual((output.type, output.headers), ("t", [("content-type", "application/json"), ("x", "y")]))
        for data in (1, {"a": 1}, None):
            with self.assertRaisesRegex(TypeError, "Output.json"):
                Output("a", data)
        with self.assertRaises(ValueError):
            Output.json("a", float("nan"))

    def test_a_handler_returns_or_yields_outputs(self):
        one = Output("a")

        def generator(_):
            yield one
            yield one

        cases = [(None, []), (one, [one]), ([one], [one]), ((one, one), [one, one]), (iter([one]), [one]), ([], [])]
        for answered, outputs in cases:
            self.assertEqual(Test(lambda _, answered=answered: answered).send(), outputs)
        self.assertEqual(Test(generator).send(), [one, one])

    def test_what_cannot_cross_the_border_is_an_error_that_says_so(self):
        async def later(_):
            return None

        spoilt = Output("a")
        spoilt.subject = None
        cases = [
            ("x", "handle returned str"),
            (["x"], "handle gave str as an output"),
            (Output("a", headers={"n": 5}), "output to 'a': header n is int, not str"),
            (Output("a\ud800"), "no Unicode text"),
            (Output("a", type=5), "type is int"),
            (spoilt, "subject is NoneType"),
        ]
        for answered, message in cases:
            with self.subTest(message), self.assertRaisesRegex((TypeError, ValueError), message):
                Test(lambda _, answered=answered: answered).send()
        with self.assertRaisesRegex(TypeError, "async"):
            Test(later).send()


class Failures(unittest.TestCase):
    def test_they_keep_reason_and_time(self):
        retry = Retry("busy", after_ms=1_500.7)
        self.assertEqual((retry.reason, retry.after_ms, str(retry)), ("busy", 1_500, "busy"))
        self.assertIsNone(Retry("busy").after_ms)
        self.assertEqual(Reject("bad").reason, "bad")
        with self.assertRaises(ValueError):
            Retry("busy", after_ms=-1)

    def test_a_trace_names_the_calls_innermost_first(self):
        def deep(left):
            return deep(left - 1) if left else {}["gone"]

        def wrap():
            try:
                deep(40)
            except KeyError as err:
                raise ValueError("boom \ud800") from err

        err = raised(wrap)
        self.assertEqual(_trace.message(err), "ValueError: boom ?")
        first, *_, cause, recursion, last = _trace.trace(err).split("\n")
        self.assertRegex(first, r"wrap \(test_sdk\.py:\d+\)$")
        self.assertEqual(cause, "caused by KeyError: 'gone'")
        self.assertRegex(recursion, r"deep \(test_sdk\.py:\d+\) 41 times$")
        self.assertRegex(last, r"wrap \(test_sdk\.py:\d+\)$")

    def test_a_trace_leaves_out_calls_of_the_library_and_the_sdk(self):
        err = raised(lambda: json.loads("{"))
        self.assertEqual(len(_trace.trace(err).split("\n")), 2)
        err = raised(lambda: Output("a", 5))
        self.assertEqual(len(_trace.trace(err).split("\n")), 2)

    def test_a_trace_has_a_bound(self):
        def odd(left):
            return even(left - 1) if left else 1 / 0

        def even(left):
            return odd(left - 1)

        err = raised(lambda: odd(101))
        self.assertEqual(len(_trace.trace(err).split("\n")), _trace.MOST_FRAMES)
        self.assertLess(len(_trace.message(ValueError("x" * 100_000))), 5_000)


class Engine(unittest.TestCase):
    def test_without_one_the_error_says_what_to_do(self):
        with self.assertRaisesRegex(RuntimeError, "wasmill.testing.Test"):
            Host().now()

    def test_a_test_sets_what_it_answers(self):
        test = Test(config={"limit": 3, "name": "x"}, now_ns=7, seed=1)
        drawn = (random.next(), random.bytes(70_000))
        self.assertEqual((clock.now(), len(drawn[1])), (7, 70_000))
        self.assertEqual((config.get("limit"), config.get("none"), config.get("none", 1)), (3, None, 1))
        self.assertEqual((config.text("limit"), config.text("name"), config.text("none")), ("3", "x", None))
        self.assertEqual(config.load(), {"limit": 3, "name": "x"})
        log.warn("over", amount=3, rule="x")
        log.debug("plain \ud800")
        self.assertEqual(test.lines, [Line("warn", "over", {"amount": "3", "rule": "x"}), Line("debug", "plain ?", {})])
        Test(seed=1)
        self.assertEqual((random.next(), random.bytes(70_000)), drawn)
        self.assertIsNone(host.table)

    def test_a_bad_setting_is_a_retry_that_names_it(self):
        Test(config={"limit": "x"})
        for key, reason in {"limit": "config: field `limit`: expected a number", "none": "config: missing `none`"}.items():
            with self.assertRaises(Retry) as caught:
                config.need(key, float)
            self.assertIn(reason, caught.exception.reason)
            self.assertTrue(caught.exception.reason.endswith("[config] table of the plugin's manifest"))


class Readme(unittest.TestCase):
    def test_its_plugins_pass_their_tests(self):
        readme = Path(__file__).parents[1] / "wasmill" / "README.md"
        blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
        self.addCleanup(sys.modules.pop, "plugin")
        for plugin, tests, count in zip(blocks[::2], blocks[1::2], (2, 1), strict=True):
            modules = [ModuleType("plugin"), ModuleType("test_plugin")]
            sys.modules["plugin"] = modules[0]
            for module, text in zip(modules, (plugin, tests), strict=True):
                exec(text, module.__dict__)
            result = unittest.TestResult()
            unittest.defaultTestLoader.loadTestsFromModule(modules[1]).run(result)
            self.assertEqual((result.testsRun, result.failures, result.errors), (count, [], []))


if __name__ == "__main__":
    unittest.main()
