import unittest

from plugin import handle
from wasmill import Reject
from wasmill.testing import Test


class PluginTest(unittest.TestCase):
    def setUp(self):
        self.engine = Test(handle, config={"limit": 100, "output": "alerts.large"})

    def test_an_amount_over_the_limit_raises_an_alert(self):
        [alert] = self.engine.send({"id": "p1", "amount": 100.5})
        self.assertEqual(alert.subject, "alerts.large")
        self.assertEqual(alert.data, b'{"payment":"p1","over_by":0.5}')
        self.assertEqual(self.engine.lines[0].message, "over the limit")

    def test_the_limit_itself_raises_none(self):
        self.assertEqual(self.engine.send({"id": "p1", "amount": 100}), [])

    def test_a_payment_without_an_amount_is_set_aside(self):
        with self.assertRaisesRegex(Reject, "missing field `amount`"):
            self.engine.send({"id": "p1"})


if __name__ == "__main__":
    unittest.main()
