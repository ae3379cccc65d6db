"""The tiny run and copies of it."""

from helpers.pipeline_fixtures import *  # noqa: F403
