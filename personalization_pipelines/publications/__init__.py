"""Publications: immutable directories that the server answers from; written, judged, kept, switched, read."""
