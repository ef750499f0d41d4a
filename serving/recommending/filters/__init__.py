"""Which candidates may not be shown: one file a filter, and their order in `filter_chain.ORDER`."""
