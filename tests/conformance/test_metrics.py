"""Both exposition formats, read by the parsers of Prometheus' own Python client."""

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from gateway_config import CALLER_KEY

pytestmark = pytest.mark.gateway

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture(scope="module")
def served(stack, ask):
    """A gateway that has answered: whole, streamed, and with an error. Exemplars are kept once somebody has asked for them."""
    httpx.get(f"{stack.url}/metrics", headers={"accept": OPEN_METRICS})
    for number in range(3):
        ask("gpt-4o-mini", stream=number == 1, request_id=f'metrics-"{number}"-\\n')
    ask("no-such-provider/none")
    return stack


@pytest.fixture(scope="module")
def ask(stack):
    headers = {"authorization": f"Bearer {CALLER_KEY}"}

    def asked(model, stream=False, request_id="metrics"):
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        return httpx.post(f"{stack.url}/openai/v1/chat/completions", json=body, headers=headers | {"x-request-id": request_id})

    return asked


def scrape(stack, accept):
    answer = httpx.get(f"{stack.url}/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    return answer


def samples(families):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample for family in families for sample in family.samples
    }


def test_the_text_format_is_read(served):
    families = list(plain(scrape(served, "text/plain").text))
    assert len(families) > 60
    assert {family.type for family in families} == {"counter", "gauge", "histogram"}
    assert all(family.documentation for family in families)


def test_openmetrics_is_read_and_says_the_same(served):
    answer = scrape(served, OPEN_METRICS)
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    # This parser refuses what the standard forbids: names that clash, buckets out of order, exemplars in wrong places.
    families = list(open_metrics(answer.text))
    units = {family.name: family.unit for family in families if family.unit}
    assert units["bifrost_request_duration_seconds"] == "seconds"
    assert units["process_resident_memory_bytes"] == "bytes"
    assert {"bifrost_requests", "http_requests"} <= {family.name for family in families if family.type == "counter"}
    names = {name.removesuffix("_total") for name in (family.name for family in plain(scrape(served, "text/plain").text))}
    assert names == {family.name for family in families}


def test_buckets_have_the_bounds_that_all_clients_write(served):
    text = scrape(served, OPEN_METRICS).text
    bounds = {line.split('le="')[1].split('"')[0] for line in text.splitlines() if 'le="' in line}
    assert {"0.005", "1.0", "10.0", "1e-05", "2.5e-05", "+Inf"} <= bounds


def test_exemplars_name_requests(served, ask):
    found = {}
    for _ in range(100):
        ask("gpt-4o-mini", stream=True, request_id="to-be-found")
        for sample in samples(open_metrics(scrape(served, OPEN_METRICS).text)).values():
            if sample.exemplar and sample.exemplar.labels["request_id"] == "to-be-found":
                found[sample.name] = sample
        if len(found) >= 3:
            break
    assert {"bifrost_request_duration_seconds_bucket", "bifrost_gateway_overhead_seconds_bucket"} <= found.keys()
    for sample in found.values():
        assert sample.exemplar.value <= float(sample.labels["le"])
        assert sample.exemplar.timestamp.sec > 1_700_000_000
