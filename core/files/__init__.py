"""What happens inside a mounted tree: listing, reading, estimating, copying out, telling it."""
