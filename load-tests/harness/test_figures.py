"""`python3 -m unittest discover -s load-tests -p 'test_*.py'`: the arithmetic, and that verdicts can fail."""

import copy
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import compare  # noqa: E402
from harness import figures, report  # noqa: E402

METRICS = {"p50": [10, 10, 10], "p99": [20, 20, 20], "rps": [100, 100, 100], "cpu": [4, 4, 4],
           "ttft": [5, 5, 5], "ttft_p99": [6, 6, 6], "chunk": [3, 3, 3], "chunk_p99": [8, 8, 8]}


def samples(bifrost):
    rows = {"direct": {name: [value / 2 for value in values] for name, values in METRICS.items()},
            "bare pingora": copy.deepcopy(METRICS), "bifrost same-wire": copy.deepcopy(METRICS)}
    rows["bifrost same-wire"].update(bifrost)
    return rows


def result(bifrost, rss=10.0):
    memory = {"bifrost": {"rss_idle_mb": rss, "rss_256_mb": rss, "rss_per_1000_streams_mb": rss}}
    return {"name": "x", "figures": figures.summarise(samples(bifrost)), "memory": memory, "quick": False,
            "pin": "none", "machine": {"cpu": "c", "cores": 2}}


class Figures(unittest.TestCase):
    def test_added_is_less_direct_and_ratios_are_of_what_is_added(self):
        cell = figures.summarise(samples({"p50": [15, 20, 25]}))["bifrost same-wire"]["p50"]
        self.assertEqual(cell["added"], {"median": 15, "best": 10})
        self.assertEqual(cell["ratio"], {"median": 3, "best": 2})

    def test_the_best_rate_is_the_highest(self):
        cell = figures.summarise(samples({"rps": [50, 80, 60]}))["bifrost same-wire"]["rps"]
        self.assertEqual(cell["value"], {"median": 60, "best": 80})
        self.assertEqual(cell["ratio"], {"median": 0.6, "best": 0.8})

    def test_a_floor_lost_in_noise_gives_no_ratio(self):
        rows = samples({})
        rows["bare pingora"]["p50"] = [4, 4, 4]
        self.assertEqual(figures.summarise(rows)["bifrost same-wire"]["p50"]["ratio"], {"median": None, "best": None})

    def test_rounds_without_a_measurement_are_left_out(self):
        cell = figures.summarise(samples({"p50": [None, 20, None]}))["bifrost same-wire"]["p50"]
        self.assertEqual(cell["added"], {"median": 15, "best": 15})


class Verdicts(unittest.TestCase):
    def verdict(self, bifrost, rss=10.0, failed=0):
        made = result(bifrost, rss)
        marathon = {"asked": 100, "failed": failed}
        checks = figures.checks(made["figures"], made["memory"], {"bifrost": {"health_ms": [9.0]}}, marathon)
        report.checks_table(checks)
        return {check["name"]: check["ok"] for check in checks}

    def test_a_gateway_as_cheap_as_the_floor_meets_all(self):
        self.assertEqual(set(self.verdict({}).values()), {True})

    def test_each_target_can_be_missed(self):
        self.assertFalse(self.verdict({"cpu": [6.1] * 3})["bifrost same-wire: CPU per request / bare"])
        self.assertFalse(self.verdict({"p50": [12.1] * 3})["bifrost same-wire: added p50 / bare"])
        self.assertFalse(self.verdict({"chunk": [3.8] * 3})["bifrost same-wire: added per chunk / bare"])
        self.assertFalse(self.verdict({}, rss=20.1)["bifrost: RSS idle"])
        self.assertFalse(self.verdict({}, rss=60.1)["bifrost: RSS at 256 connections"])
        self.assertFalse(self.verdict({}, failed=1)["bifrost: failed of 100"])

    def test_what_was_not_measured_is_not_met(self):
        self.assertIsNone(self.verdict({"cpu": [None] * 3})["bifrost same-wire: CPU per request / bare"])


class Comparison(unittest.TestCase):
    def regressed(self, old, new):
        return [name for name, *_, worse in compare.comparison(old, new) if worse]

    def test_the_same_result_has_not_regressed(self):
        self.assertEqual(self.regressed(result({}), result({})), [])

    def test_more_than_15_percent_worse_is_flagged_in_the_right_direction(self):
        self.assertEqual(self.regressed(result({}), result({"cpu": [4.7] * 3})), ["bifrost same-wire: CPU / bare"])
        self.assertEqual(self.regressed(result({}), result({"cpu": [4.5] * 3})), [])
        self.assertEqual(self.regressed(result({}), result({"rps": [85] * 3})), ["bifrost same-wire: rps / bare"])
        self.assertEqual(self.regressed(result({}), result({"rps": [140] * 3, "cpu": [2] * 3})), [])
        self.assertEqual(len(self.regressed(result({}), result({}, rss=12.0))), 3)

    def test_p99_is_shown_but_not_flagged(self):
        self.assertEqual(self.regressed(result({}), result({"p99": [90] * 3})), [])


if __name__ == "__main__":
    unittest.main()
