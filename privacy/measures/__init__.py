"""One file per measure: cells, bounds, SQL, reference."""
