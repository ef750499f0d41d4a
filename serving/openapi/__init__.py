"""The document of the HTTP side, made from the rules that requests are checked by."""
