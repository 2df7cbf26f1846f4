"""One module a command. What a command needs is imported inside it, so that `forestay --help` is quick."""
