"""Configuration is code: one YAML file a website, read strictly into one frozen value."""

from personalization_pipelines.website.values import Website

__all__ = ["Website"]
