"""In charge of the demo region's data: synthetic, deterministic, with correct check digits."""
