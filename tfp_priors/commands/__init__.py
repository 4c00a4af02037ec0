"""The commands: flags, and one line per error; they call what the other rooms have."""
