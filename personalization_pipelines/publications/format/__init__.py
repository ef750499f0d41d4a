"""The format of a publication: arrays in files, and the manifest that vouches for them."""
