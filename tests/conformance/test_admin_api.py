"""The administration's document, judged by others: a validator of OpenAPI, and a client generated from it that is used."""

import importlib
import json
import subprocess
import sys

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

pytestmark = pytest.mark.gateway


@pytest.fixture(scope="module")
def document(stack):
    return httpx.get(f"{stack.url}/openapi.json").json()


def generated(document, folder):
    """The package that is generated from the document."""
    source = folder / "openapi.json"
    source.write_text(json.dumps(document))
    settings = folder / "settings.json"
    # Nobody has to tidy the code up.
    settings.write_text('{"post_hooks": []}')
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(source), "--meta", "none"]
    command += ["--config", str(settings)]
    done = subprocess.run([*command, "--output-path", str(folder / "bifrost_admin")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout, done.stdout
    sys.path.insert(0, str(folder))
    return importlib.import_module("bifrost_admin")


def test_the_document_is_openapi(document):
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_a_generated_client_makes_reads_and_deletes_a_key(stack, document, tmp_path):
    client = generated(document, tmp_path).Client(base_url=stack.url, raise_on_unexpected_status=True)
    api = "bifrost_admin.api.virtual_keys"
    create = importlib.import_module(f"{api}.post_api_governance_virtual_keys")
    read = importlib.import_module(f"{api}.get_api_governance_virtual_keys_by_id")
    delete = importlib.import_module(f"{api}.delete_api_governance_virtual_keys_by_id")
    models = importlib.import_module("bifrost_admin.models")
    made = create.sync(client=client, body=models.VirtualKey(name="generated"))
    assert made.virtual_key.value.startswith("sk-bf-")
    key_id = made.virtual_key.id
    assert read.sync(key_id, client=client).virtual_key.name == "generated"
    assert "deleted" in delete.sync(key_id, client=client).message
