"""Files for the child interpreter; nothing here imports nmhw, so that projects can carry them."""
