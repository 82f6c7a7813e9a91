"""Gemini CLI as a caller: one turn without a terminal, in which it reads a file because the model asks for it."""

import json
import os
import subprocess

import pytest

from conftest import prompt, scene
from gateway_config import CLAUDE, GEMINI, GPT, Lane
from gemini_gaps import CALL_SIGNATURE
from stack import NODE_HOME

NOTE = "bring bread, ünïcode too"
LANES = [
    Lane("/genai", GEMINI, "gemini"),
    Lane("", GEMINI, "gemini"),
    Lane("/genai", f"openai/{GPT}", "openai"),
    Lane("/genai", f"anthropic/{CLAUDE}", "anthropic"),
]
SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False},
}


@pytest.fixture
def gemini_cli(stack, clients, tmp_path):
    """gemini_cli(lane, text): runs the program in an empty home and a folder with a note; gives what it wrote."""
    home, folder = tmp_path / "home", tmp_path / "folder"
    (home / ".gemini").mkdir(parents=True)
    folder.mkdir()
    (home / ".gemini/settings.json").write_text(json.dumps(SETTINGS))
    (folder / "note.txt").write_text(NOTE, encoding="utf-8")

    def run(lane, text):
        environment = {
            "PATH": f"{NODE_HOME}:{os.environ.get('PATH', '')}",
            "HOME": str(home),
            "GEMINI_API_KEY": clients.google_options("/v1beta")["api_key"],
            "GOOGLE_GEMINI_BASE_URL": stack.url + ("" if stack.direct else lane.route),
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
        }
        program = NODE_HOME / "node_modules/@google/gemini-cli/bundle/gemini.js"
        arguments = ["-m", clients.model(lane.model), "--yolo", "--output-format", "json", "-p", text]
        command = [NODE_HOME / "node", program, *arguments]
        done = subprocess.run(
            [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return json.loads(done.stdout[done.stdout.index("{") :])

    return run


@pytest.mark.parametrize(
    "lane",
    [pytest.param(one, id=str(one), marks=[] if one.wire == "gemini" else [pytest.mark.gateway]) for one in LANES],
)
def test_a_turn_with_a_tool_call(gemini_cli, tap, lane):
    told = gemini_cli(lane, prompt("read-note"))
    assert told["response"] == scene("read-note/result")["content"]
    assert told["stats"]["tools"]["byName"]["read_file"]["success"] == 1
    turns = [exchange for exchange in tap.exchanges if b"read_file" in exchange.body]
    assert len(turns) == 2 and {exchange.status for exchange in turns} == {200}
    assert NOTE in json.dumps(turns[1].json, ensure_ascii=False), "the file's text went to the model"
    if lane.wire == "gemini":
        parts = [part for turn in turns[1].json["contents"] for part in turn["parts"]]
        signed = [part["thoughtSignature"] for part in parts if "functionCall" in part]
        assert signed == [CALL_SIGNATURE]
