"""Pure decisions of the fetcher: which ref, which address, what changed, what to store, when to look again."""
