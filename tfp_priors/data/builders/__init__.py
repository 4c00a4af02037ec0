"""TFDS builders for what TFDS does not ship."""
