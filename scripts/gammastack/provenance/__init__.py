"""Records of who made what from what, exports, archives, and the commands that use them."""
