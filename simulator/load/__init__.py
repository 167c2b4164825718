"""``motcua-simulator load``: messages at a rate, and how long their answers took."""
