"""Runs openai-python's own tests of what a server answers, with the gateway as the server.

The source package of the release has them, without the recorded streams that some need. OPENAI_PYTHON is a checkout of
its repository, which has those too.
"""

import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = pathlib.Path(os.environ.get("OPENAI_PYTHON") or HERE.parents[4] / ".cache/matrix/python/openai-python")

# The tests whose answers the gateway and the emulator behind it can give. The others in tests/api_resources ask for
# operations that the emulator does not have; those in tests/lib send nothing, or use other APIs.
API = ("chat/test_completions", "test_completions", "test_embeddings", "test_responses", "test_models")
LIB = (
    "chat/test_completions",
    "chat/test_content_filter",
    "chat/test_single_pass_tools",
    "chat/test_stream_moderation",
    "chat/test_tool_call_deltas",
    "responses/test_parse_as",
    "responses/test_responses",
)
STREAMS = "chat/test_completions_streaming"  # with recorded streams
SELECTED = (
    "lib or create or test_responses and (retrieve or delete) or test_models and (retrieve or list)"
)

lib = [*LIB, STREAMS] if (SOURCE / ".inline-snapshot").is_dir() else LIB
files = [f"tests/api_resources/{name}.py" for name in API] + [f"tests/lib/{name}.py" for name in lib]
os.environ.update(
    TEST_API_BASE_URL=os.environ["SPILLWAY_SECURE_URL"] + "/v1",
    SSL_CERT_FILE=os.environ["SPILLWAY_CERTIFICATE"],
)
os.chdir(SOURCE)
sys.path[:0] = [str(SOURCE), str(HERE)]
options = ["-p", "gateway", "-o", "addopts=", "-p", "no:cacheprovider", "-q", "-n", "4", "--tb=short"]
sys.exit(pytest.main([*options, "-k", SELECTED, *files]))
