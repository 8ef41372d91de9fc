"""The command line: options, what each command prints, and the sub-commands."""
