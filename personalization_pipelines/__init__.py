"""Events and catalogues in, validated features, models and published recommendations out."""

__version__ = "0.1.0"
