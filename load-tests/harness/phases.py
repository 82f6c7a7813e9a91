"""What is measured, one function per phase. Each runs the `load` client once and returns plain numbers."""

import json
import os
import subprocess
import time

from .gateways import chat_request, monotonic_ms, request_body
from .processes import Failed, cpu_seconds, last_words, rss_mb, status_of, wait_healthy


class Driver:
    """Runs `load` against targets and keeps every failure it reports."""

    def __init__(self, gateways):
        self.gateways = gateways
        self.failures = []
        self.requests = 0

    def argv(self, target, port, mode, stream=None, **flags):
        name = f"body-{target.name}-{stream}.json".replace("/", "_").replace(" ", "_").replace(">", "-")
        body_file = os.path.join(self.gateways.stable.folder, name)
        if not os.path.exists(body_file):
            with open(body_file, "w") as file:
                file.write(request_body(target, stream))
        argv = [self.gateways.tool("load"), "--mode", mode, "--address", f"127.0.0.1:{port}", "--path", target.path,
                "--dialect", target.dialect, "--body-file", body_file]
        for flag, value in flags.items():
            argv += [f"--{flag.replace('_', '-')}", str(value)]
        return argv

    def start(self, argv, **more):
        return self.gateways.stable.start("load", "load", argv, stdout=subprocess.PIPE, **more)

    def finish(self, program, target, patience=300):
        """Waits for the client, keeps its failures, returns its result."""
        try:
            out, _ = program.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.gateways.stable.stop(program)
            raise Failed(f"load did not end within {patience} s on {target.name}") from None
        self.gateways.stable.stop(program)
        if not out.strip():
            raise Failed(f"load gave no result on {target.name}:\n{last_words(program)}")
        result = json.loads(out.strip().splitlines()[-1])
        self.requests += result["good"] + result["failed"]
        if result["failed"]:
            self.failures.append({"target": target.name, "mode": result["mode"], "failed": result["failed"],
                                  "of": result["good"] + result["failed"], "reasons": result.get("reasons", {})})
        return result

    def run(self, target, port, mode, **flags):
        return self.finish(self.start(self.argv(target, port, mode, **flags)), target)


def latency(driver, target, port, plan):
    """One caller, one request at a time."""
    result = driver.run(target, port, "latency", count=plan.latency_count, warmup=100)["latency"]
    return {"p50": result["p50_us"], "p90": result["p90_us"], "p99": result["p99_us"], "floor": result["min_us"]}


def throughput(driver, target, port, program, plan):
    """64 callers; the gateway's CPU time over the run, divided by the requests."""
    before = cpu_seconds(program.pid)
    result = driver.run(target, port, "throughput", connections=64, seconds=plan.throughput_seconds)
    spent = cpu_seconds(program.pid) - before
    requests = result["good"] + result["failed"]
    return {"rps": result["requests_per_second"], "cpu": spent * 1e6 / requests if requests else None,
            "p50_at_64": result["latency"]["p50_us"], "p99_at_64": result["latency"]["p99_us"]}


def streams(driver, target, port, plan):
    """Streams side by side: first chunk and each chunk."""
    chunks, interval = plan.stream_chunks, plan.stream_interval_us
    result = driver.run(target, port, "streams", stream=(chunks, interval), chunks=chunks, streams=plan.streams,
                        repeat=plan.stream_repeat, spread_us=interval)
    first, each = result["first_chunk"], result["per_chunk"]
    return {"ttft": first["p50_us"], "ttft_p99": first["p99_us"], "chunk": each["p50_us"], "chunk_p99": each["p99_us"]}


def starts(driver, gateway, target, count):
    """From exec to the first 200 of /health, and to the first 200 of a chat, in ms."""
    health, chat = [], []
    for _ in range(count):
        began = monotonic_ms()
        program, port = driver.gateways.start(gateway, wait=False)
        wait_healthy(program, port)
        health.append(monotonic_ms() - began)
        status, answer = status_of(port, chat_request(target, port))
        chat.append(monotonic_ms() - began)
        driver.gateways.stable.stop(program)
        if status != 200:
            raise Failed(f"first chat after a start of {gateway}: {answer[:300]!r}")
    return {"health_ms": sorted(health), "chat_ms": sorted(chat)}


def memory(driver, gateway, target, plan):
    """RSS after 10 requests, at 256 connections, and per 1,000 open streams; a fresh start for each."""
    program, port = driver.gateways.start(gateway)
    driver.run(target, port, "latency", count=10, warmup=0)
    idle = rss_mb(program.pid)
    load = driver.start(driver.argv(target, port, "throughput", connections=256, seconds=plan.memory_seconds))
    busy = idle
    while load.poll() is None:
        busy = max(busy, rss_mb(program.pid))
        time.sleep(0.05)
    driver.finish(load, target)
    driver.gateways.stable.stop(program)
    return {"rss_idle_mb": idle, "rss_256_mb": busy, "rss_per_1000_streams_mb": held(driver, gateway, target, plan)}


def held(driver, gateway, target, plan):
    """Growth of RSS with many slow streams open, scaled to 1,000."""
    program, port = driver.gateways.start(gateway)
    driver.run(target, port, "latency", count=10, warmup=0)
    before = rss_mb(program.pid)
    argv = driver.argv(target, port, "hold", stream=(1_000_000, 1_000_000), streams=plan.held_streams)
    load = driver.start(argv, stdin=subprocess.PIPE)
    holding = json.loads(load.stdout.readline() or "{}").get("holding", 0)
    during = before
    for _ in range(15):
        during = max(during, rss_mb(program.pid))
        time.sleep(0.1)
    driver.finish(load, target)
    driver.gateways.stable.stop(program)
    return (during - before) * 1000 / holding if holding else None


def marathon(driver, target, port, count):
    """`count` requests, every body checked."""
    result = driver.run(target, port, "throughput", connections=64, count=count, seconds=280)
    done = result["good"] + result["failed"]
    return {"asked": count, "good": result["good"], "failed": result["failed"] + max(0, count - done),
            "seconds": result["seconds"], "rps": result["requests_per_second"]}


def wrk(driver, target, port, program, seconds):
    """The same load from wrk, which checks no body: a witness for our own client's rate."""
    folder = driver.gateways.stable.folder
    script = os.path.join(folder, "wrk.lua")
    body = request_body(target)
    headers = {"content-type": "application/json", "authorization": "Bearer sk-bench", "x-api-key": "sk-bench",
               "anthropic-version": "2023-06-01"}
    lines = ['wrk.method = "POST"', f"wrk.body = [==[{body}]==]"]
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    with open(script, "w") as file:
        file.write("\n".join(lines))
    before = cpu_seconds(program.pid)
    url = f"http://127.0.0.1:{port}{target.path}"
    load = driver.start(["wrk", "-t1", "-c64", f"-d{seconds}", "-s", script, url])
    out, _ = load.communicate(timeout=seconds + 30)
    driver.gateways.stable.stop(load)
    spent = cpu_seconds(program.pid) - before
    requests = next((int(line.split()[0]) for line in out.splitlines() if " requests in " in line), 0)
    bad = [line.strip() for line in out.splitlines() if "Non-2xx" in line or "Socket errors" in line]
    return {"rps": requests / seconds, "cpu": spent * 1e6 / requests if requests else None, "complaints": bad}
