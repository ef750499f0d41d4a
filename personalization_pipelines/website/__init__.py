"""Configuration is code: one YAML file a website, read strictly into one frozen value."""

from personalization_pipelines.website.example import example_text
from personalization_pipelines.website.json_schema import json_schema
from personalization_pipelines.website.load import load_website, load_websites
from personalization_pipelines.website.values import Website

__all__ = ["Website", "example_text", "json_schema", "load_website", "load_websites"]
