"""The folder of a run: what it records, who holds it, and signals to its process."""
