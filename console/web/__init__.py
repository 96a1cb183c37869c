"""The pages: people decide here. They read and write the ledger only; nothing here reaches a store, a key or the scheduler."""
