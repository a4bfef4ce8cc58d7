"""The command line: one frozen dataclass and one call a command. Nothing imports this folder."""
