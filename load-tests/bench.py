#!/usr/bin/env python3
"""Measures what the gateway costs: direct, nginx, bare Pingora and bifrost, interleaved in one run.

Standard library only. Everything listens on the loopback, is bounded in count and time, and is
stopped by its own pid at the end, on an error and on Ctrl-C. See README.md for what is measured how.
"""

import argparse
import dataclasses
import datetime
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

from compare import print_comparison
from harness import figures, machine, phases, report
from harness.gateways import BARE, BIFROST, DIRECT, NGINX, Gateways, chat_request
from harness.processes import Failed, Stable, alive, status_of

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


@dataclasses.dataclass
class Plan:
    """How long each phase takes."""
    rounds: int = 15
    latency_count: int = 1500
    throughput_seconds: float = 1.2
    streams: int = 10  # one per millisecond of the interval: chunks do not queue behind each other
    stream_chunks: int = 40
    stream_interval_us: int = 10_000
    stream_repeat: int = 2
    memory_seconds: float = 3.0
    held_streams: int = 1000
    start_count: int = 10
    marathon: int = 100_000
    wrk_seconds: int = 2
    at_most_seconds: int = 900


QUICK = Plan(rounds=5, latency_count=500, throughput_seconds=0.5, stream_chunks=20, memory_seconds=1.0,
             held_streams=500, start_count=3, marathon=20_000, wrk_seconds=0, at_most_seconds=150)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="under a minute, for a first impression")
    parser.add_argument("--rounds", type=int, help="rounds of the interleaved phases")
    parser.add_argument("--million", action="store_true", help="1,000,000 checked requests instead of 100,000")
    parser.add_argument("--bifrost", help="the binary (default: the release build of this tree)")
    parser.add_argument("--bifrost-kind", choices=("bifrost", "bare", "none"), default="bifrost",
                        help="bare: a second bare Pingora in its place, which shows the noise; none: leave it out")
    parser.add_argument("--pin", choices=("none", "split", "one"), default="none",
                        help="split: gateway on one CPU, mock and client on another; one: all on one CPU")
    parser.add_argument("--skip", default="", help="nginx, wrk or both, comma separated")
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    parser.add_argument("--name", default=datetime.datetime.now().strftime("%Y%m%d-%H%M%S"), help="of the result")
    parser.add_argument("--baseline", action="store_true", help="write baseline.json too")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args()
    options.skip = set(filter(None, options.skip.split(",")))
    return options


def main():
    options = arguments()
    plan = dataclasses.replace(QUICK) if options.quick else Plan()
    plan.rounds = options.rounds or plan.rounds
    plan.marathon = 1_000_000 if options.million else plan.marathon
    require_tools(options)
    release_dir = os.path.join(os.path.abspath(os.environ.get("CARGO_TARGET_DIR", f"{ROOT}/target")), "release")
    build(options)
    built = "bare_pingora" if options.bifrost_kind == "bare" else "bifrost"
    bifrost = options.bifrost or os.path.join(release_dir, built)
    if options.bifrost_kind != "none" and not os.access(bifrost, os.X_OK):
        sys.exit(f"bench: no program at {bifrost}: build it, or leave it out with --bifrost-kind none")
    raise_descriptor_limit()
    for name in (signal.SIGTERM, signal.SIGALRM, signal.SIGHUP):
        signal.signal(name, leave)
    # With the million, the slowest machine gets its time too.
    signal.alarm(plan.at_most_seconds + (300 if options.million else 0))
    try:
        with tempfile.TemporaryDirectory(prefix="bifrost-bench-") as folder:
            os.chmod(folder, 0o755)  # nginx's worker may run as another user
            with Stable(folder, cpus(options.pin)) as stable:
                result = measure(Gateways(stable, release_dir, os.path.abspath(bifrost), options.bifrost_kind),
                                 plan, options)
    except Failed as problem:
        print(f"\nbench: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: interrupted, everything was stopped", file=sys.stderr)
        return 130
    return conclude(result, options)


def leave(number, _frame):
    raise Failed("took too long" if number == signal.SIGALRM else f"stopped by signal {number}")


def require_tools(options):
    missing = [tool for tool in ("nginx", "wrk") if tool not in options.skip and not find(tool)]
    if missing:
        sys.exit(f"bench: {' and '.join(missing)} not found. On Debian and Ubuntu: apt-get install {' '.join(missing)}\n"
                 f"       or leave out what needs them: --skip {','.join(missing)}")


def find(tool):
    return shutil.which(tool) or (f"/usr/sbin/{tool}" if os.path.exists(f"/usr/sbin/{tool}") else None)


def build(options):
    if options.no_build:
        return
    packages = ["-p", "load-tests"]
    if options.bifrost_kind == "bifrost" and not options.bifrost:
        packages += ["-p", "bifrost"]
    subprocess.run(["cargo", "build", "--release", "--locked", *packages], cwd=ROOT, check=True)


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpus(pin):
    have = sorted(os.sched_getaffinity(0))
    if pin == "none" or len(have) < 2:
        return {}
    gateway, others = {have[0]}, {have[1]} if pin == "split" else {have[0]}
    return {"gateway": gateway, "mock": others, "load": others}


def measure(gateways, plan, options):
    driver = phases.Driver(gateways)
    described, stolen = machine.describe(), machine.stolen()
    names = [name for name in ("nginx", "bare", "bifrost")
             if name not in options.skip and not (name == "bifrost" and options.bifrost_kind == "none")]
    targets = [target for target in (DIRECT, NGINX, BARE, *BIFROST) if target.gateway in ("mock", *names)]
    own = {name: next(target for target in targets if target.gateway == name) for name in names}
    say(f"start times: {plan.start_count} starts of each")
    starts = {name: phases.starts(driver, name, own[name], plan.start_count) for name in names}
    say("memory: idle, 256 connections, open streams")
    memory = {name: phases.memory(driver, name, own[name], plan) for name in names}
    live = {name: gateways.start(name) for name in names} | {"mock": (gateways.mock, gateways.mock_port)}
    preflight(targets, live)
    samples = rounds(driver, targets, live, plan)
    wrk = {}
    if "wrk" not in options.skip and plan.wrk_seconds:
        say("the same load from wrk")
        wrk = {target.name: phases.wrk(driver, target, live[target.gateway][1], live[target.gateway][0],
                                       plan.wrk_seconds) for target in targets}
    marathon = None
    if "bifrost" in names:
        say(f"{plan.marathon:,} requests through bifrost, every body checked")
        marathon = phases.marathon(driver, own["bifrost"], live["bifrost"][1], plan.marathon)
    for program, _ in live.values():
        alive(program)
    after = machine.stolen()
    summary = figures.summarise(samples)
    return {
        "name": options.name, "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "revision": machine.revision(ROOT), "bifrost_kind": options.bifrost_kind, "quick": options.quick,
        "pin": options.pin, "machine": described,
        "stolen_percent": 100 * (after[0] - stolen[0]) / max(1, after[1] - stolen[1]),
        "plan": dataclasses.asdict(plan), "figures": summary, "rounds": samples, "memory": memory, "starts": starts,
        "wrk": wrk, "marathon": marathon, "requests": driver.requests, "failures": driver.failures,
        "checks": figures.checks(summary, memory, starts, marathon) if "bifrost" in names else [],
    }


def preflight(targets, live):
    """One request each before anything is timed: a way that does not work must say so at once."""
    for target in targets:
        status, answer = status_of(live[target.gateway][1], chat_request(target, live[target.gateway][1]))
        if status != 200:
            raise Failed(f"{target.name}: POST {target.path} with model {target.model} answered\n"
                         f"{answer.decode(errors='replace')[:1500] or 'nothing'}")


def rounds(driver, targets, live, plan):
    """Every phase goes through all targets before the next begins: A B C D, A B C D."""
    samples = {target.name: {} for target in targets}
    for number in range(1, plan.rounds + 1):
        say(f"round {number} of {plan.rounds}")
        for program, _ in live.values():
            alive(program)
        for phase in (phases.latency, phases.streams):
            for target in targets:
                note(samples, target, phase(driver, target, live[target.gateway][1], plan))
        for target in targets:
            program, port = live[target.gateway]
            note(samples, target, phases.throughput(driver, target, port, program, plan))
    return samples


def note(samples, target, measured):
    for metric, value in measured.items():
        samples[target.name].setdefault(metric, []).append(value)


def say(text):
    print(f"· {text}", flush=True)


def conclude(result, options):
    print("\n" + report.whole(result) + "\n")
    os.makedirs(f"{HERE}/results", exist_ok=True)
    paths = [f"{HERE}/results/{result['name']}.json"]
    baseline = f"{HERE}/baseline.json"
    if options.baseline:
        paths.append(baseline)
    elif os.path.exists(baseline):
        with open(baseline) as file:
            print_comparison(json.load(file), result)
    for path in paths:
        with open(path, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
        print(f"written: {os.path.relpath(path)}")
    missed = [check for check in result["checks"] if not check["ok"]]
    return 1 if result["failures"] or (options.check and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
