"""Event recordings: cameras, silicon cochleas and spike cameras, read in chunks and binned."""
