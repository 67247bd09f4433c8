"""What every layer speaks: frozen records without algorithms."""
