"""Our own contenders: one application per file, as a user would write it."""
