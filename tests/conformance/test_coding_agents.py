"""Codex and Claude Code, the real programs: a scripted turn with a tool call, to each upstream's wire.

Each starts in an empty home and a folder with one file. The mock asks for `cat note.txt`; the agent runs it and sends
what it printed; the mock's second answer is what the agent shows. No account, no network but the gateway.
"""

import json
import os
import platform
import subprocess
from pathlib import Path

import pytest

from conftest import prompt, scene
from gateway_config import CALLER_KEY, CLAUDE, GPT

MODULES = Path(os.environ.get("CONFORMANCE_CACHE", "/nonexistent")) / "cli/node_modules"
SYSTEM = f"{platform.system().lower()}-{ {'x86_64': 'x64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }"
NOTE = "the word is marmalade"
CODEX_CONFIG = """
model = "{model}"
model_provider = "gateway"
[model_providers.gateway]
name = "gateway"
base_url = "{url}/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""

pytestmark = pytest.mark.gateway


@pytest.fixture
def home(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/note.txt").write_text(NOTE)
    return tmp_path


def run(command, home, **environment):
    environment |= {"PATH": os.environ["PATH"], "HOME": str(home)}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=home / "work",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def codex(home, url, model, tag):
    [program] = MODULES.glob(f"@openai/codex-{SYSTEM}/vendor/*/bin/codex")
    settings = home / ".codex"
    settings.mkdir()
    (settings / "config.toml").write_text(CODEX_CONFIG.format(model=model, url=url))
    options = ["--json", "--skip-git-repo-check", "--sandbox", "danger-full-access"]
    code, out, err = run([program, "exec", *options, prompt(tag)], home, CODEX_HOME=str(settings), GATEWAY_KEY=CALLER_KEY)
    assert code == 0, out[-2000:] + err[-2000:]
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def claude_code(home, url, model, tag):
    program = MODULES / f"@anthropic-ai/claude-code-{SYSTEM}/claude"
    options = ["--output-format", "json", "--allowedTools", "Bash"]
    code, out, err = run(
        [program, "-p", prompt(tag), *options],
        home,
        ANTHROPIC_BASE_URL=url,
        ANTHROPIC_API_KEY=CALLER_KEY,
        ANTHROPIC_MODEL=model,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        CLAUDE_CODE_MAX_RETRIES="0",
        DISABLE_AUTOUPDATER="1",
    )
    assert code == 0, out[-2000:] + err[-2000:]
    return json.loads(out)


def turns_sent(tap):
    """The requests of the turn itself; a program may ask for titles and the like besides."""
    return [exchange for exchange in tap.exchanges if exchange.method == "POST" and b"note.txt" in exchange.body]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (f"openai/{GPT}", "/v1/responses"),
        (f"house-host/{GPT}", "/v1/chat/completions"),
        (f"anthropic/{CLAUDE}", "/v1/messages"),
    ],
    ids=["responses", "chat", "anthropic"],
)
def test_codex_runs_a_tool_and_answers(stack, tap, home, model, path):
    events = codex(home, stack.url + "/openai", model, "codex")
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    [command] = [item for item in items if item["type"] == "command_execution"]
    assert NOTE in command["aggregated_output"] and command["exit_code"] == 0
    said = [item["text"] for item in items if item["type"] == "agent_message"]
    assert said == [scene("codex")["content"], scene("codex/result")["content"]]
    [usage] = [event["usage"] for event in events if event["type"] == "turn.completed"]
    assert usage["output_tokens"] == sum(scene(tag)["usage"]["completion_tokens"] for tag in ("codex", "codex/result"))
    last = turns_sent(tap)[-1]
    assert last.path.split("?")[0] == path
    assert NOTE.encode() in last.body and b"call_codex_1" in last.body


@pytest.mark.parametrize("route", ["/anthropic", ""], ids=["prefix", "root"])
@pytest.mark.parametrize(
    ("model", "path"),
    [(CLAUDE, "/v1/messages"), (f"openai/{GPT}", "/v1/chat/completions")],
    ids=["anthropic", "chat"],
)
def test_claude_code_runs_a_tool_and_answers(stack, tap, home, route, model, path):
    result = claude_code(home, stack.url + route, model, "claude-code")
    assert result["result"] == scene("claude-code/result")["content"]
    assert (result["is_error"], result["num_turns"], result["permission_denials"]) == (False, 2, [])
    tokens = sum(scene(tag)["usage"]["completion_tokens"] for tag in ("claude-code", "claude-code/result"))
    assert result["usage"]["output_tokens"] == tokens
    last = turns_sent(tap)[-1]
    assert last.path.split("?")[0] == path
    assert NOTE.encode() in last.body and b"call_claude_code_1" in last.body
    if path == "/v1/chat/completions":
        assert b"x-anthropic-billing-header" not in last.body, "a line of Anthropic's own, of no use to others"
