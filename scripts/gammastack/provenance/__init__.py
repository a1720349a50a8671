"""Who made what from what: records, exports, archives, and the commands on them."""
