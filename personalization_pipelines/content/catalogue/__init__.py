"""What content becomes: the catalogue's versions, their gates, and changes of single items."""
