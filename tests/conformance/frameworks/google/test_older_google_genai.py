"""The suite's own tests of google-genai, once more: this environment holds an older generation of it."""

from test_google_genai import *  # noqa: F403
from test_google_genai_content import *  # noqa: F403
from test_google_genai_errors import *  # noqa: F403
from test_google_genai_tools import *  # noqa: F403
