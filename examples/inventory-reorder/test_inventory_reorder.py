import importlib.util
import pathlib
import unittest
from datetime import timedelta

from wasmill import Reject
from wasmill.testing import Keyed

# The file is named as the plugin, which is no name of a module.
path = pathlib.Path(__file__).parent / "plugins/inventory-reorder.py"
spec = importlib.util.spec_from_file_location("rule", path)
rule = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rule)

CONFIG = {"reorder_at": 10, "fill_to": 50, "lead_days": 3}


class InventoryReorderTest(unittest.TestCase):
    def setUp(self):
        self.engine = Keyed(rule.handle, on_timer=rule.on_timer, config=CONFIG)

    def told(self, kind, quantity):
        outputs = self.engine.send({"kind": kind, "quantity": quantity}, key="tea")
        return [(output.subject, output.data) for output in outputs]

    def test_what_runs_low_is_ordered_once(self):
        self.assertEqual(self.told("counted", 12), [])
        self.assertEqual(self.told("sold", 1), [])
        order = b'{"item":"tea","quantity":41,"left":9}'
        self.assertEqual(self.told("sold", 2), [("purchases.order.tea", order)])
        self.assertEqual(self.told("sold", 5), [])
        self.assertEqual(self.told("received", 41), [])
        self.assertEqual(self.engine.get("tea", "stock"), 45)
        self.assertEqual(self.engine.timers("tea"), [])
        self.assertEqual(len(self.told("sold", 36)), 1)

    def test_a_delivery_that_does_not_come_is_told_once(self):
        self.assertEqual(len(self.told("counted", 10)), 1)
        self.assertEqual(self.engine.advance(timedelta(days=2)), [])
        late = self.engine.advance(timedelta(days=30))
        self.assertEqual([(output.subject, output.data) for output in late],
                         [("purchases.late.tea", b'{"item":"tea","quantity":40,"left":10}')])

    def test_what_is_no_movement_is_set_aside(self):
        with self.assertRaisesRegex(Reject, "kind: 'lost' is none of"):
            self.told("lost", 1)


if __name__ == "__main__":
    unittest.main()
