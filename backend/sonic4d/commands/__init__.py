"""The commands: one module each, with `add_options(parser)` and `run(arguments)`, which returns the exit status."""
