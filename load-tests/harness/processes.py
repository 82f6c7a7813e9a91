"""Starts, weighs and stops the programs of a run. Every one is stopped by its own pid, whatever happens."""

import os
import signal
import socket
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program did not do what the run needs; the message says which and shows its last words."""


class Stable:
    """All programs started by this run. Leaving the `with` block stops them."""

    def __init__(self, folder, cpus=None):
        self.folder = folder
        self.cpus = cpus or {}  # role -> set of cpus
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not leave a program behind.
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(name, signal.SIG_IGN)
        for program in reversed(list(self.running)):
            self.stop(program)

    def start(self, name, role, argv, env=None, stdin=None, stdout=None):
        """Starts `argv`; its output goes to `<folder>/<name>.log` (unless `stdout` is a pipe)."""
        log_path = os.path.join(self.folder, f"{name}.log")
        before = os.sched_getaffinity(0)
        with open(log_path, "ab") as log:
            # A child inherits the affinity, so that nothing needs to run between fork and exec.
            os.sched_setaffinity(0, self.cpus.get(role, before))
            try:
                program = subprocess.Popen(argv, env=env, cwd=self.folder, stdin=stdin or subprocess.DEVNULL,
                                           stdout=stdout or log, stderr=log, text=True)
            finally:
                os.sched_setaffinity(0, before)
        program.name, program.log_path = name, log_path
        self.running.append(program)
        return program

    def stop(self, program, patience=5.0):
        """SIGTERM, then SIGKILL to it and to the children it had."""
        family = descendants(program.pid) if program.poll() is None else []
        if program.poll() is None:
            program.terminate()
            try:
                program.wait(patience)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        for pid in family:
            kill_if_alive(pid)
        for pipe in (program.stdin, program.stdout):
            if pipe:
                pipe.close()
        if program in self.running:
            self.running.remove(program)


def kill_if_alive(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def descendants(pid):
    """Pids of all children and their children."""
    found = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return found
    for task in tasks:
        for child in read_proc(pid, f"task/{task}/children").split():
            found += [int(child)] + descendants(int(child))
    return found


def cpu_seconds(pid):
    """User and system time of a program and its children since they started."""
    total = 0
    for member in [pid] + descendants(pid):
        fields = read_proc(member, "stat").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12]) if fields else 0
    return total / TICKS_PER_SECOND


def rss_mb(pid):
    """Resident memory of a program and its children, in MB of 1,000,000 bytes."""
    total = 0
    for member in [pid] + descendants(pid):
        for line in read_proc(member, "status").splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total / 1e6


def read_proc(pid, name):
    """A file of /proc/PID; empty when the program has gone, which `alive` reports better."""
    try:
        with open(f"/proc/{pid}/{name}") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(program):
    """Raises when a program that should run has ended."""
    if program.poll() is not None:
        raise Failed(f"{program.name} ended by itself with {program.returncode}; its last words:\n{last_words(program)}")


def free_port():
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status_of(port, request, timeout=5.0):
    """Sends raw bytes, returns (status, what came first); status None while nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.sendall(request)
            answer = connection.recv(65536)
            return int(answer.split(b" ", 2)[1]), answer
    except (OSError, IndexError, ValueError):
        return None, b""


def wait_healthy(program, port, patience=10.0):
    """Polls GET /health until 200."""
    request = f"GET /health HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n".encode()
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if status_of(port, request)[0] == 200:
            return
        if program.poll() is not None:
            break
        time.sleep(0.0003)
    raise Failed(f"{program.name} did not answer GET /health with 200; its last words:\n{last_words(program)}")


def last_words(program, lines=12):
    with open(program.log_path, errors="replace") as log:
        return "".join(log.readlines()[-lines:])
